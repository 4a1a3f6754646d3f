/*
 * Removed files made again, all before the first is opened, directories from the top down.
 *
 * A directory is made under its own name, which is removed when the tasks are complete or the
 * restore failed.  Any other file loses its names at once and is opened through descriptors of
 * ours, one for each name, so that the kernel's idea of its path is what it was.  A killed restore
 * leaves no name (brief_names.c).  Only where a name is taken now, and for what no link below /proc
 * leads to (symbolic links, what O_NOFOLLOW is to open), the file is made as
 * NAME.cr.<number>.ghost, in the nearest directory that exists, is linked to each name as it is
 * opened, and goes with the directories.
 *
 * A file that was opened with O_TMPFILE is made so again, or linkat(2) could not name it any more
 * (fs/namei.c, I_LINKABLE); the first such open file is the creating one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/explain.h"
#include "file/ghost.h"

enum { NAME_TRIES = 100 };

/* --- contents --- */

static int copy_in(struct file_set *f, int to, const struct image_reader *r)
{
	uint64_t at = r->payload.offset, left = r->payload.len;
	char data[65536];
	while (left) {
		size_t want = left < sizeof(data) ? (size_t)left : sizeof(data);
		ssize_t n = pread(r->fd, data, want, (off_t)at);
		if (n <= 0 || write(to, data, (size_t)n) != n)
			return fail(
				f->s, n ? errno : EBADMSG, "copy %s out of the images", r->name);
		at += (uint64_t)n;
		left -= (uint64_t)n;
	}
	return 0;
}

static int fill(struct file_set *f, const struct ghost *g, int fd)
{
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	ProtobufCMessage *m;
	int r = image_reader_open(f->s, &reader, f->s->images, IMG_GHOST_FILE, g->number);
	if (r >= 0)
		r = image_read(f->s, &reader, &m);
	if (r < 0)
		return r;
	if (!g->e->chunks)
		return copy_in(f, fd, &reader);
	if (ftruncate(fd, (off_t)g->e->size) < 0)
		return fail(f->s, errno, "make %s", g->path);
	while ((r = image_read(f->s, &reader, &m)) > 0) {
		if (lseek(fd, (off_t)((const GhostChunkEntry *)m)->off, SEEK_SET) < 0)
			return fail(f->s, errno, "make %s", g->path);
		r = copy_in(f, fd, &reader);
		if (r < 0)
			return r;
	}
	return r;
}

/* A new file of the right type at path; for regular files a descriptor to fill it, else 0. */
static int make_node(const struct file_set *f, const struct ghost *g, const char *path)
{
	const char *at = path_relative(path);
	mode_t mode = (g->e->mode & S_IFMT) | 0600;
	if (S_ISREG(mode)) {
		int fd = openat(
			f->root_fd, at, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		return fd < 0 ? -errno : fd;
	}
	int r = S_ISDIR(mode)	? mkdirat(f->root_fd, at, 0700)
		: S_ISLNK(mode) ? symlinkat(g->e->symlnk_target, f->root_fd, at)
				: mknodat(f->root_fd, at, mode, g->e->has_rdev ? g->e->rdev : 0);
	return r < 0 ? -errno : 0;
}

static int make_named(struct file_set *f, struct ghost *g, const char *base, int *ret_fd)
{
	int r = -EEXIST;
	for (int i = 0; i < NAME_TRIES && r == -EEXIST; i++) {
		g->path = i == 0 && ghost_is_directory(g)
				  ? base
				  : arena_printf(&f->s->arena,
					    i < 2 ? "%s.cr.%x.ghost" : "%s.cr.%x.%d.ghost", base,
					    g->number, i);
		r = make_node(f, g, g->path);
	}
	if (r < 0)
		return r;
	*ret_fd = S_ISREG(g->e->mode) ? r : -1;
	*vec_push(&f->s->arena, &f->doomed) = (struct doomed){g->path, g};
	return 0;
}

/* Without its directory: one level higher, and so on. */
static int make_somewhere(struct file_set *f, struct ghost *g, int *ret_fd)
{
	char *base = arena_strdup(&f->s->arena, g->name);
	for (;;) {
		int r = make_named(f, g, base, ret_fd);
		if (r != -ENOENT)
			return r;
		char *name = strrchr(base, '/'), *dir;
		if (!name || name == base)
			return r;
		*name = '\0';
		dir = strrchr(base, '/');
		if (!dir)
			return r;
		memmove(dir + 1, name + 1, strlen(name + 1) + 1);
	}
}

/* The directories above it that are missing, the outermost first; all are removed backwards. */
static int make_parents(struct file_set *f, const char *name)
{
	unsigned made;
	int r = remap_make_parents(f, name, &made);
	size_t first = f->doomed.n;
	for (unsigned i = 0; i < made; i++)
		*vec_push(&f->s->arena, &f->doomed) = (struct doomed){NULL, NULL};
	for (char *up = arena_strdup(&f->s->arena, name); made--;) {
		*strrchr(up, '/') = '\0';
		f->doomed.v[first + made].path = arena_strdup(&f->s->arena, up);
	}
	return r;
}

static bool image_times(const GhostFileEntry *e, struct timespec times[2])
{
	if (!e->atim || !e->mtim)
		return false;
	times[0] = (struct timespec){(time_t)e->atim->tv_sec, (long)e->atim->tv_usec * 1000};
	times[1] = (struct timespec){(time_t)e->mtim->tv_sec, (long)e->mtim->tv_usec * 1000};
	return true;
}

/* A path that leads to the file itself, be it a symbolic link, and flags for calls that take it. */
struct place {
	int dir, flags;
	const char *path;
};

static struct place place_of(const struct file_set *f, const struct ghost *g)
{
	int anchor = g->names.v[0].anchor;
	if (anchor < 0)
		return (struct place){f->root_fd, AT_SYMLINK_NOFOLLOW, path_relative(g->path)};
	return (struct place){AT_FDCWD, 0, arena_printf(&f->s->arena, "/proc/self/fd/%d", anchor)};
}

int ghost_set_times(const struct file_set *f, const struct ghost *g)
{
	struct timespec times[2];
	struct place at = place_of(f, g);
	if (!image_times(g->e, times))
		return 0;
	return utimensat(at.dir, at.path, times, at.flags) < 0 ? -errno : 0;
}

static int set_attributes(struct file_set *f, struct ghost *g)
{
	const GhostFileEntry *e = g->e;
	struct place at = place_of(f, g);
	int r = fchownat(at.dir, at.path, e->uid, e->gid, at.flags);
	if (r >= 0 && !S_ISLNK(e->mode))
		r = fchmodat(at.dir, at.path, e->mode & 07777, 0);
	if (r < 0)
		return fail(f->s, errno, "set owner and mode of %s", g->name);
	r = ghost_extras_set(f, g);
	if (r < 0)
		return r;
	r = ghost_set_times(f, g);
	return r < 0 ? fail(f->s, r, "set the times of %s", g->name) : 0;
}

/* --- under its names, for a moment --- */

static void take_name(struct file_set *f, struct ghost_name *n)
{
	unlinkat(f->root_fd, path_relative(n->name), 0);
	remap_remove_parents(f, n->name, n->made);
}

/* The first comes with the file; *ret_fd as of make_node(). */
static int give_name(struct file_set *f, struct ghost *g, struct ghost_name *n, int *ret_fd)
{
	const char *at = path_relative(n->name);
	int r = remap_make_parents(f, n->name, &n->made);
	if (r < 0)
		return r;
	if (n == g->names.v)
		r = *ret_fd = make_node(f, g, n->name);
	else if (linkat(f->root_fd, path_relative(g->name), f->root_fd, at, 0) < 0)
		r = -errno;
	if (r < 0) {
		remap_remove_parents(f, n->name, n->made);
		return r;
	}
	n->anchor = openat(f->root_fd, at, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	r = n->anchor < 0 ? -errno : 0;
	if (r < 0)
		take_name(f, n);
	return r;
}

void ghost_close_anchors(struct ghost *g)
{
	vec_for_each (&g->names, n)
		if (n->anchor >= 0)
			close(take_fd(&n->anchor));
}

struct making {
	struct ghost *g;
	int fd; /* as of make_node() */
};

static int give_and_take_names(void *file_set, void *arg)
{
	struct file_set *f = file_set;
	struct making *m = arg;
	int r = 0;
	size_t n = 0;
	for (; n < m->g->names.n && r >= 0; n += r >= 0)
		r = give_name(f, m->g, &m->g->names.v[n], &m->fd);
	while (n--)
		take_name(f, &m->g->names.v[n]);
	return r;
}

static int make_nameless(struct file_set *f, struct ghost *g, int *ret_fd)
{
	struct making m = {g, -1};
	int r = file_names_do(f, give_and_take_names, &m), fd = m.fd;
	g->nameless = r >= 0;
	g->path = g->name;
	if (S_ISREG(g->e->mode) && fd >= 0)
		*ret_fd = fd;
	if (r >= 0)
		return 0;
	if (*ret_fd >= 0)
		close(take_fd(ret_fd));
	ghost_close_anchors(g);
	return r;
}

/* --- */

static int make_directory(void *file_set, void *arg)
{
	struct file_set *f = file_set;
	struct making *m = arg;
	int r = make_parents(f, m->g->name);
	return r < 0 ? r : make_named(f, m->g, m->g->name, &m->fd);
}

static int make_elsewhere(void *file_set, void *arg)
{
	struct making *m = arg;
	return make_somewhere(file_set, m->g, &m->fd);
}

static int make_named_ghost(struct file_set *f, struct ghost *g)
{
	_cleanup_close_ int fd = -1;
	struct making m = {g, -1};
	int r = ghost_is_directory(g)		      ? file_names_do(f, make_directory, &m)
		: S_ISLNK(g->e->mode) || g->no_follow ? -EEXIST
						      : make_nameless(f, g, &fd);
	if (r == -EEXIST && !ghost_is_directory(g)) {
		r = file_names_do(f, make_elsewhere, &m);
		fd = m.fd;
	}
	if (r < 0) {
		g->path = NULL;
		return fail(f->s, r, "make the removed file %s again", g->name);
	}
	r = ghost_extras_begin(f, g, fd);
	if (r >= 0 && fd >= 0)
		r = fill(f, g, fd);
	return r < 0 ? r : set_attributes(f, g);
}

/* In its directory, or the nearest one above that exists. */
static int open_unnamed(struct file_set *f, struct ghost *g)
{
	char *directory = arena_strdup(&f->s->arena, g->name);
	int flags =
		(int)(g->unnamed->flags & ~(uint32_t)(O_ASYNC | O_EXCL)) | O_DIRECTORY | O_CLOEXEC;
	int fd;
	do {
		*strrchr(directory, '/') = '\0';
		fd = openat(f->root_fd, path_relative(directory), flags, 0600);
	} while (fd < 0 && errno == ENOENT && *directory);
	return fd < 0 ? -errno : fd;
}

static int make_unnamed_ghost(struct file_set *f, struct ghost *g)
{
	g->path = g->name;
	_cleanup_close_ int creator = open_unnamed(f, g);
	if (creator < 0)
		return fail(f->s, creator, "make the unnamed file %s again", g->name);
	char *self = arena_printf(&f->s->arena, "/proc/self/fd/%d", creator);
	_cleanup_close_ int writer = open(self, O_WRONLY | O_CLOEXEC);
	int anchor = g->names.v[0].anchor = open(self, O_PATH | O_CLOEXEC);
	if (writer < 0 || anchor < 0)
		return fail(f->s, errno, "open the unnamed file %s", g->name);
	int r = ghost_extras_begin(f, g, writer);
	if (r >= 0)
		r = fill(f, g, writer);
	if (r < 0)
		return r;
	r = set_attributes(f, g);
	if (r < 0)
		return r;
	g->creator = take_fd(&creator);
	return 0;
}

static int make_ghost(struct file_set *f, struct ghost *g)
{
	bool directory = ghost_is_directory(g);
	if (explained(f->s, "make the removed %s %s again%s", directory ? "directory" : "file",
		    g->name, directory ? "" : ", and take its name away")) {
		g->path = g->name;
		return 0;
	}
	return g->unnamed ? make_unnamed_ghost(f, g) : make_named_ghost(f, g);
}

static int by_name(const void *a, const void *b)
{
	const struct ghost *const *x = a, *const *y = b;
	int order = ghost_is_directory(*y) - ghost_is_directory(*x);
	return order ? order : strcmp((*x)->name, (*y)->name);
}

int ghost_create_all(struct file_set *f)
{
	if (!f->ghost_list.n || f->ghost_list.v[0]->path)
		return 0;
	qsort(f->ghost_list.v, f->ghost_list.n, sizeof(*f->ghost_list.v), by_name);
	int r = 0;
	for (size_t i = 0; i < f->ghost_list.n && r >= 0; i++)
		r = make_ghost(f, f->ghost_list.v[i]);
	return r;
}
