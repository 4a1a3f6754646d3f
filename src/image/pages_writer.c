/*
 * Writing page images.
 *
 * The last entry is kept back so that neighbours with equal flags become one; it is written out
 * by the first entry that cannot join it, or by pages_writer_close().
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "image/pagemap.h"
#include "mem.pb-c.h"

uint64_t image_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

void pages_writer_release(struct pages_writer *w)
{
	image_writer_release(&w->map);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

int pages_writer_open(struct session *s, struct pages_writer *w, struct image_dir *dir,
	enum image_type type, uint64_t id)
{
	return pages_writer_open_as(s, w, dir, type, id, dir->next_pages_id++);
}

int pages_writer_open_as(struct session *s, struct pages_writer *w, const struct image_dir *dir,
	enum image_type type, uint64_t id, uint32_t pages_id)
{
	*w = (struct pages_writer){.dir = dir, .pages_id = pages_id, .fd = -1};
	image_writer_init(&w->map, dir, type, id);
	PagemapHead head = PAGEMAP_HEAD__INIT;
	head.pages_id = w->pages_id;
	return image_write(s, &w->map, &head.base);
}

static int write_last(struct session *s, struct pages_writer *w)
{
	if (!w->nr_pages)
		return 0;
	PagemapEntry entry = PAGEMAP_ENTRY__INIT;
	entry.vaddr = w->vaddr;
	entry.compat_nr_pages = 0; /* as 4.2 does: counts are 64 bits now, in nr_pages */
	entry.has_flags = true;
	entry.flags = w->flags;
	entry.has_nr_pages = true;
	entry.nr_pages = w->nr_pages;
	w->nr_pages = 0;
	return image_write(s, &w->map, &entry.base);
}

static int fail_map(struct session *s, const struct pages_writer *w, int err, uint64_t vaddr)
{
	char name[IMAGE_NAME_MAX];
	image_name(w->map.type, w->map.id, name);
	return fail(s, err, "%s/%s: pages at %jx do not follow the ones before, which end at %jx",
		w->dir->path, name, (uintmax_t)vaddr, (uintmax_t)w->end);
}

int pages_writer_add(struct session *s, struct pages_writer *w, uint64_t vaddr, uint64_t nr_pages,
	uint32_t flags, uint64_t *ret_offset)
{
	uint64_t bytes, end, offset = w->size;
	if (__builtin_mul_overflow(nr_pages, image_page_size(), &bytes) ||
		__builtin_add_overflow(vaddr, bytes, &end) || vaddr < w->end)
		return fail_map(s, w, EINVAL, vaddr);
	if (nr_pages && w->nr_pages && w->end == vaddr && w->flags == flags) {
		w->nr_pages += nr_pages;
	} else if (nr_pages) {
		int err = write_last(s, w);
		if (err < 0)
			return err;
		w->vaddr = vaddr;
		w->nr_pages = nr_pages;
		w->flags = flags;
	}
	w->end = end;
	if (flags & PE_PRESENT)
		w->size += bytes;
	if (ret_offset)
		*ret_offset = offset;
	return 0;
}

int pages_writer_fd(struct session *s, struct pages_writer *w, int *ret_fd)
{
	if (w->fd < 0) {
		/* Readable too: a parent's pages are compared and punched through it. */
		int fd = image_open_raw_at(
			s, w->dir, IMG_PAGES, w->pages_id, O_RDWR | O_CREAT | O_TRUNC);
		if (fd < 0)
			return fd;
		w->fd = fd;
	}
	*ret_fd = w->fd;
	return 0;
}

static int check_pages(struct session *s, struct pages_writer *w)
{
	if (w->fd < 0 && !w->size)
		return image_unlink(s, w->dir, IMG_PAGES, w->pages_id);
	struct stat st = {0};
	if (w->fd >= 0 && fstat(w->fd, &st) < 0)
		return fail(s, errno, "%s/pages-%u.img", w->dir->path, w->pages_id);
	if ((uint64_t)st.st_size != w->size)
		return fail(s, EIO,
			"%s/pages-%u.img: %ju bytes were written, the pagemap names %ju",
			w->dir->path, w->pages_id, (uintmax_t)st.st_size, (uintmax_t)w->size);
	return 0;
}

int pages_writer_close(struct session *s, struct pages_writer *w)
{
	_cleanup_pages_writer_ struct pages_writer own = *w;
	*w = (struct pages_writer)PAGES_WRITER_NONE;
	int err = write_last(s, &own);
	if (err < 0)
		return err;
	err = check_pages(s, &own);
	if (err < 0)
		return err;
	if (own.fd >= 0 && close(take_fd(&own.fd)) < 0)
		return fail(s, errno, "closing %s/pages-%u.img", own.dir->path, own.pages_id);
	return image_writer_close(s, &own.map);
}
