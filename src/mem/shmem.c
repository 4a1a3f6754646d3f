/*
 * Shared segments: memfds and shared anonymous memory.
 *
 * Data is where SEEK_DATA says (lseek(2)), swapped-out pages included; the rest reads as zero and
 * is left out.  Bytes go from file to file inside the kernel, by sendfile(2); hugetlbfs has neither
 * splicing nor write(2), so its files are read through a buffer and filled through a mapping.  Pages that an incremental dump left in its
 * parent are taken from there.
 */
#include "mem/shmem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/progress.h"
#include "image/pagemap.h"

enum {
	SENDFILE_MAX = 64 << 20, /* a call that long is no hindrance to showing how far it is */
	BUFFER_LEN = 1 << 20,
};

static int copy_by_buffer(struct session *s, int to, int from, uint64_t offset, uint64_t len)
{
	_cleanup_free_ char *buffer = malloc(BUFFER_LEN);
	while (buffer && len) {
		ssize_t n = pread(from, buffer, len < BUFFER_LEN ? len : BUFFER_LEN, (off_t)offset);
		if (n <= 0)
			return fail(s, n ? errno : EIO, "copy huge pages of shared memory");
		for (ssize_t done = 0, k; done < n; done += k) {
			k = write(to, buffer + done, (size_t)(n - done));
			if (k < 0)
				return fail(s, errno, "copy huge pages of shared memory");
		}
		progress_add(s, (uint64_t)n);
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return buffer ? 0 : fail(s, ENOMEM, "copy huge pages of shared memory");
}

static int copy(struct session *s, int to, int from, uint64_t offset, uint64_t len)
{
	off_t at = (off_t)offset;
	while (len) {
		ssize_t n =
			sendfile(to, from, &at, len > SENDFILE_MAX ? SENDFILE_MAX : (size_t)len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EINVAL)
			return copy_by_buffer(s, to, from, (uint64_t)at, len);
		if (n <= 0)
			return fail(s, n ? errno : EIO, "copy shared memory");
		progress_add(s, (uint64_t)n);
		len -= (uint64_t)n;
	}
	return 0;
}

/* --- dump --- */

static int dump_range(struct session *s, struct pages_writer *w, int fd, uint64_t start,
	uint64_t end, uint64_t size)
{
	uint64_t page = image_page_size(), offset;
	start &= ~(page - 1);
	end = (end + page - 1) & ~(page - 1);
	int pages;
	int r = pages_writer_add(s, w, start, (end - start) / page, PE_PRESENT, &offset);
	if (r >= 0)
		r = pages_writer_fd(s, w, &pages);
	if (r < 0)
		return r;
	s->stats.shpages_written += (end - start) / page;
	uint64_t stored = (end < size ? end : size) - start;
	progress_expect(s, stored);
	if (lseek(pages, (off_t)offset, SEEK_SET) < 0)
		return fail(s, errno, "copy shared memory");
	r = copy(s, pages, fd, start, stored);
	if (r >= 0 &&
		ftruncate(pages, (off_t)(offset + (end - start))) < 0) /* the last page's rest */
		r = fail(s, errno, "copy shared memory");
	return r;
}

static int dump_data(struct session *s, struct pages_writer *w, int fd, uint64_t size)
{
	for (off_t start = 0, end = 0; (uint64_t)end < size;) {
		start = lseek(fd, end, SEEK_DATA);
		if (start < 0 && errno == ENXIO)
			return 0;
		end = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
		if (end < 0)
			return fail(s, errno, "find the data of shared memory");
		if ((uint64_t)start >= size)
			return 0;
		int r = dump_range(s, w, fd, (uint64_t)start,
			(uint64_t)end < size ? (uint64_t)end : size, size);
		if (r < 0)
			return r;
	}
	return 0;
}

int shmem_dump(struct session *s, int fd, uint32_t shmid, uint64_t size)
{
	_cleanup_pages_writer_ struct pages_writer w = PAGES_WRITER_NONE;
	s->stats.shpages_scanned += (size + image_page_size() - 1) / image_page_size();
	int r = pages_writer_open(s, &w, s->images, IMG_PAGEMAP_SHMEM, shmid);
	if (r >= 0)
		r = dump_data(s, &w, fd, size);
	return r < 0 ? r : pages_writer_close(s, &w);
}

/* --- restore --- */

static int load(struct session *s, const struct image_dir *dir, uint32_t shmid, struct pagemap *ret)
{
	int r = pagemap_load(s, dir, IMG_PAGEMAP_SHMEM, shmid, ret);
	return r == -ENOENT ? fail(s, r, "%s/pagemap-shmem-%u.img is missing", dir->path, shmid)
			    : r;
}

int shmem_check(struct session *s, uint32_t shmid, uint64_t size)
{
	struct pagemap map;
	int r = load(s, s->images, shmid, &map);
	if (r < 0 || !map.n)
		return r;
	progress_expect(s, map.pages_size);
	const struct pagemap_range *last = &map.ranges[map.n - 1];
	uint64_t page = image_page_size(), n_pages = size / page + !!(size % page);
	if (last->vaddr / page + last->nr_pages > n_pages)
		return fail(s, EBADMSG, "pagemap-shmem-%u.img has pages beyond the end of its file",
			shmid);
	return 0;
}

struct filling {
	struct session *s;
	uint32_t shmid;
	int fd;
	uint64_t size;
	char *mapping; /* NULL: write to fd */
};

/* The last page of the image may reach beyond the end of the file. */
static int fill_range(struct filling *f, int pages, uint64_t offset, uint64_t start, uint64_t len)
{
	if (start + len > f->size)
		len = f->size > start ? f->size - start : 0;
	if (!f->mapping) {
		if (lseek(f->fd, (off_t)start, SEEK_SET) < 0)
			return fail(f->s, errno, "fill shared memory");
		return copy(f->s, f->fd, pages, offset, len);
	}
	while (len) {
		ssize_t n = pread(pages, f->mapping + start, len, (off_t)offset);
		if (n <= 0)
			return fail(f->s, n ? errno : EBADMSG, "fill shared memory");
		progress_add(f->s, (uint64_t)n);
		start += (uint64_t)n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Fills [start, end) from the dump in dir; what that leaves to its parent, from there. */
static int fill_from(struct filling *f, struct image_dir *dir, uint64_t start, uint64_t end)
{
	struct pagemap map;
	uint64_t page = image_page_size();
	int r = load(f->s, dir, f->shmid, &map);
	if (r < 0)
		return r;
	_cleanup_close_ int pages =
		map.pages_size ? pagemap_open_pages(f->s, dir, &map, O_RDONLY) : -1;
	const struct pagemap_range *range = pagemap_find(&map, start);
	for (; range && range < map.ranges + map.n && range->vaddr < end && r >= 0; range++) {
		uint64_t from = range->vaddr > start ? range->vaddr : start;
		uint64_t to = range->vaddr + range->nr_pages * page;
		to = to < end ? to : end;
		struct image_dir *parent = NULL;
		if (range->flags & PE_PRESENT) {
			r = fill_range(
				f, pages, range->offset + (from - range->vaddr), from, to - from);
			f->s->stats.pages_restored += (to - from) / page;
		} else if (range->flags & PE_PARENT) {
			r = image_dir_parent(f->s, dir, &parent);
			r = r == -ENOENT
				    ? fail(f->s, r, "%s: its parent dump is missing", dir->path)
				    : r;
			if (r >= 0)
				r = fill_from(f, parent, from, to);
		}
	}
	return r;
}

int shmem_fill(struct session *s, int fd, uint32_t shmid, bool mapped)
{
	off_t size = lseek(fd, 0, SEEK_END);
	struct filling f = {.s = s, .shmid = shmid, .fd = fd, .size = (uint64_t)size};
	if (size < 0)
		return fail(s, errno, "fill shared memory");
	if (mapped) {
		f.mapping = mmap(NULL, f.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (f.mapping == MAP_FAILED)
			return fail(s, errno, "map %ju bytes of huge pages", (uintmax_t)f.size);
	}
	int r = fill_from(&f, s->images, 0, UINT64_MAX);
	if (f.mapping)
		munmap(f.mapping, f.size);
	if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = fail(s, errno, "fill shared memory");
	return r;
}
