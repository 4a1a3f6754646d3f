/*
 * Dump of ghosts: files without a name, alive only because they are open or mapped.
 *
 * ghost-file-<n>.img holds what it was and, for a regular file, the content: raw when small, else
 * as chunks, one per stretch of data (SEEK_DATA, lseek(2)).  One image per inode; every open file
 * of it refers to that by a remap entry.  The restore side is ghost_restore.c.
 */
#include "file/ghost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/sendfile.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/file_lock.h"

enum { CHUNKS_FROM = 3 * 4096 };

struct ghost_dump {
	uint32_t number;
	struct file_source from;
	struct statx st;
};

/* How a device number is written inside the kernel. */
static uint32_t kernel_dev(unsigned major, unsigned minor)
{
	return major << 20 | minor;
}

static Timeval *to_timeval(struct session *s, struct statx_timestamp t)
{
	Timeval *v = arena_new(&s->arena, Timeval);
	timeval__init(v);
	v->tv_sec = (uint64_t)t.tv_sec;
	v->tv_usec = t.tv_nsec / 1000;
	return v;
}

/* Copies bytes of the file to where the image's descriptor stands. */
static int copy_out(struct file_dump *d, struct image_writer *w, int from, off_t at, uint64_t len)
{
	int to;
	int r = image_writer_fd(d->s, w, &to);
	while (r >= 0 && len) {
		ssize_t n = sendfile(to, from, &at, len > 1 << 30 ? 1 << 30 : (size_t)len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(d->s, n ? errno : EIO, "copy a removed file to the images");
		len -= (uint64_t)n;
	}
	return r;
}

static int write_chunk(
	struct file_dump *d, struct image_writer *w, int from, off_t start, off_t end)
{
	GhostChunkEntry e = GHOST_CHUNK_ENTRY__INIT;
	e.off = (uint64_t)start;
	e.len = (uint64_t)(end - start);
	int r = image_write(d->s, w, &e.base);
	return r < 0 ? r : copy_out(d, w, from, start, e.len);
}

static int write_chunks(struct file_dump *d, struct image_writer *w, int from, off_t size)
{
	for (off_t start = 0, end = 0; end < size;) {
		start = lseek(from, end, SEEK_DATA);
		if (start < 0 && errno == ENXIO)
			return 0; /* nothing but a hole is left */
		if (start < 0 && errno == EINVAL)
			return write_chunk(d, w, from, 0, size); /* the filesystem knows no holes */
		end = start < 0 ? -1 : lseek(from, start, SEEK_HOLE);
		if (end < 0)
			return fail(d->s, errno, "find the data of a removed file");
		if (start >= size)
			return 0;
		int r = write_chunk(d, w, from, start, end < size ? end : size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_content(struct file_dump *d, struct image_writer *w, const struct ghost_dump *g,
	const GhostFileEntry *e)
{
	_cleanup_close_ int fd = source_reopen(d, &g->from, O_RDONLY);
	if (fd < 0)
		return fd;
	off_t size = (off_t)g->st.stx_size;
	return e->chunks ? write_chunks(d, w, fd, size) : copy_out(d, w, fd, 0, (uint64_t)size);
}

static int read_target(struct file_dump *d, const struct ghost_dump *g, char **ret)
{
	size_t room = g->st.stx_size + 1;
	char *target = arena_alloc(&d->s->arena, room);
	_cleanup_close_ int fd = source_reopen(d, &g->from, O_PATH);
	ssize_t n = fd < 0 ? fd : readlinkat(fd, "", target, room);
	if (n < 0)
		return fail(d->s, errno, "read a removed symbolic link");
	*ret = target;
	return 0;
}

static int ghost_write(struct file_dump *d, void *object)
{
	const struct ghost_dump *g = object;
	const struct statx *st = &g->st;
	GhostFileEntry e = GHOST_FILE_ENTRY__INIT;
	e.uid = st->stx_uid;
	e.gid = st->stx_gid;
	e.mode = st->stx_mode;
	e.has_dev = e.has_ino = true;
	e.dev = kernel_dev(st->stx_dev_major, st->stx_dev_minor);
	e.ino = st->stx_ino;
	if (S_ISCHR(st->stx_mode) || S_ISBLK(st->stx_mode)) {
		e.has_rdev = true;
		e.rdev = (uint32_t)makedev(st->stx_rdev_major, st->stx_rdev_minor);
	}
	e.atim = to_timeval(d->s, st->stx_atime);
	e.mtim = to_timeval(d->s, st->stx_mtime);
	if (S_ISREG(st->stx_mode) && st->stx_size >= CHUNKS_FROM) {
		e.has_chunks = e.chunks = true;
		e.has_size = true;
		e.size = st->stx_size;
	}
	if (S_ISLNK(st->stx_mode)) {
		int r = read_target(d, g, &e.symlnk_target);
		if (r < 0)
			return r;
	}
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, d->s->images, IMG_GHOST_FILE, g->number);
	int r = image_write(d->s, &w, &e.base);
	if (r >= 0 && S_ISREG(st->stx_mode))
		r = write_content(d, &w, g, &e);
	return r < 0 ? r : image_writer_close(d->s, &w);
}

static void check_content(struct file_dump *d, const struct file_view *v)
{
	if (file_lock_forbids_open(v))
		view_block(d, v, NULL, "a lease on the removed file %s, which has to be opened",
			v->link);
	uint64_t size = v->st.stx_blocks * 512;
	d->predicted += size;
	if (size > d->s->opt->ghost_limit)
		view_block(d, v,
			arena_printf(&d->s->arena, "use --ghost-limit %ju", (uintmax_t)size),
			"the removed file %s holds %ju bytes, more than --ghost-limit allows (%ju)",
			v->link, (uintmax_t)size, (uintmax_t)d->s->opt->ghost_limit);
}

int ghost_add(struct file_dump *d, const struct file_view *v, struct dumped_file *f)
{
	struct ghost_dump *g = v->inode->ghost;
	if (!g) {
		g = v->inode->ghost = arena_new(&d->s->arena, struct ghost_dump);
		*g = (struct ghost_dump){.number = d->next_ghost++, .from = v->from, .st = v->st};
		if (S_ISREG(v->st.stx_mode))
			check_content(d, v);
		int r = ghost_extras_collect(d, v, f);
		if (r < 0)
			return r;
		file_dump_later(d, ghost_write, g);
	}
	remap_add(d, f->id, REMAP_TYPE__GHOST, g->number);
	return 0;
}

int ghost_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f, const char *name)
{
	if (S_ISSOCK(v->st.stx_mode)) {
		view_block(d, v, NULL, "the removed socket %s cannot be kept", name);
		return 0;
	}
	return ghost_add(d, v, f);
}
