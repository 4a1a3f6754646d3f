/*
 * Restore of ghosts: see ghost.c for the images.
 *
 * All are made before the first is opened, directories from the top down.  A directory is made
 * under its own name, which is removed when the tasks are complete or the restore failed.  Any
 * other file loses its name at once and is opened through a descriptor of ours, so that a killed
 * restore leaves nothing, and the kernel's idea of its path is what it was.  Only where that name
 * is taken now, or was one of several, the file is made as NAME.cr.<number>.ghost, in the nearest
 * directory that exists, is linked to each name as it is opened, and goes with the directories.
 *
 * A file that was opened with O_TMPFILE is made so again, or linkat(2) could not name it any more
 * (fs/namei.c, I_LINKABLE); the first such open file is the creating one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/ghost.h"

struct ghost {
	uint32_t number;
	const GhostFileEntry *e;
	const char *name;	     /* of the first open file */
	const char *path;	     /* where it was made; NULL: not yet */
	bool several_names;	     /* of its open files */
	bool nameless;		     /* again, already: opened by the anchor */
	const RegFileEntry *unnamed; /* the open file that creates it by O_TMPFILE; NULL: none */
	int creator;		     /* that file; -1: given away */
	int anchor;		     /* O_PATH, to open it again; -1 */
	bool watched;
	const char *anchor_name;
};

enum { NAME_TRIES = 100, RAW_O_TMPFILE = 020000000 };

const char *ghost_path(const struct ghost *g)
{
	return g->path;
}

bool ghost_is_directory(const struct ghost *g)
{
	return S_ISDIR(g->e->mode);
}

/* --- before anything is forked --- */

static int check_entry(struct file_set *f, const struct ghost *g, uint64_t end, uint64_t limit)
{
	const GhostFileEntry *e = g->e;
	bool device = S_ISCHR(e->mode) || S_ISBLK(e->mode);
	const char *lack = S_ISLNK(e->mode) && !e->symlnk_target		? "target"
			   : device && !e->has_rdev				? "device number"
			   : e->chunks && (!e->has_size || e->size > INT64_MAX) ? "size"
										: NULL;
	if (lack)
		return fail(f->s, EBADMSG, "ghost-file-%x.img lacks a %s", g->number, lack);
	if (end > limit)
		return fail(f->s, EBADMSG, "ghost-file-%x.img has data beyond the end of its file",
			g->number);
	return 0;
}

/* Reads the header and walks the chunks, so that damage is found now. */
static int read_image(struct file_set *f, struct ghost *g)
{
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	ProtobufCMessage *m;
	uint64_t end = 0;
	int r = image_reader_open(f->s, &reader, f->s->images, IMG_GHOST_FILE, g->number);
	if (r >= 0)
		r = image_read(f->s, &reader, &m);
	if (r == 0)
		return fail(f->s, ENOENT, "ghost-file-%x.img is missing or empty", g->number);
	if (r < 0)
		return r;
	g->e = (const GhostFileEntry *)m;
	while (g->e->chunks && (r = image_read(f->s, &reader, &m)) > 0) {
		const GhostChunkEntry *chunk = (const GhostChunkEntry *)m;
		uint64_t chunk_end = chunk->off + chunk->len;
		end = chunk_end < chunk->off ? UINT64_MAX : chunk_end > end ? chunk_end : end;
	}
	return r < 0 ? r : check_entry(f, g, end, g->e->has_size ? g->e->size : UINT64_MAX);
}

int ghost_load(struct file_set *f, uint32_t number, const RegFileEntry *first, struct ghost **ret)
{
	struct ghost *g = id_map_get(&f->ghosts, number);
	if (!g) {
		g = arena_new(&f->s->arena, struct ghost);
		g->number = number;
		g->name = first->name;
		g->creator = g->anchor = -1;
		int r = read_image(f, g);
		if (r < 0)
			return r;
		id_map_put(&f->s->arena, &f->ghosts, number, g);
		*vec_push(&f->s->arena, &f->ghost_list) = g;
	}
	g->several_names |= strcmp(g->name, first->name) != 0;
	if (!g->unnamed && first->flags & RAW_O_TMPFILE && S_ISREG(g->e->mode))
		g->unnamed = first;
	*ret = g;
	return 0;
}

/* --- making them --- */

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
	if (g->anchor < 0)
		return (struct place){f->root_fd, AT_SYMLINK_NOFOLLOW, path_relative(g->path)};
	return (struct place){
		AT_FDCWD, 0, arena_printf(&f->s->arena, "/proc/self/fd/%d", g->anchor)};
}

static int set_times(const struct file_set *f, const struct ghost *g)
{
	struct timespec times[2];
	struct place at = place_of(f, g);
	if (!image_times(g->e, times))
		return 0;
	return utimensat(at.dir, at.path, times, at.flags) < 0 ? -errno : 0;
}

static int set_attributes(const struct file_set *f, const struct ghost *g)
{
	const GhostFileEntry *e = g->e;
	struct place at = place_of(f, g);
	int r = fchownat(at.dir, at.path, e->uid, e->gid, at.flags);
	if (r >= 0 && !S_ISLNK(e->mode))
		r = fchmodat(at.dir, at.path, e->mode & 07777, 0);
	r = r < 0 ? -errno : set_times(f, g);
	return r < 0 ? fail(f->s, r, "set owner, mode and times of %s", g->name) : 0;
}

/* Under its name, for a moment. */
static int make_nameless(struct file_set *f, struct ghost *g, int *ret_fd)
{
	unsigned made;
	int r = remap_make_parents(f, g->name, &made);
	if (r < 0)
		return r;
	r = make_node(f, g, g->name);
	if (r >= 0) {
		const char *at = path_relative(g->name);
		*ret_fd = S_ISREG(g->e->mode) ? r : -1;
		g->anchor = openat(f->root_fd, at, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		r = g->anchor < 0 ? -errno : 0;
		unlinkat(f->root_fd, at, 0);
		g->nameless = true;
		g->path = g->name;
	}
	remap_remove_parents(f, g->name, made);
	return r;
}

static int make_directory(struct file_set *f, struct ghost *g)
{
	int none, r = make_parents(f, g->name);
	return r < 0 ? r : make_named(f, g, g->name, &none);
}

static int make_named_ghost(struct file_set *f, struct ghost *g)
{
	_cleanup_close_ int fd = -1;
	int r = ghost_is_directory(g)			  ? make_directory(f, g)
		: g->several_names || S_ISLNK(g->e->mode) ? -EEXIST
							  : make_nameless(f, g, &fd);
	if (r == -EEXIST && !ghost_is_directory(g))
		r = make_somewhere(f, g, &fd);
	if (r < 0) {
		g->path = NULL;
		return fail(f->s, r, "make the removed file %s again", g->name);
	}
	r = fd >= 0 ? fill(f, g, fd) : 0;
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
	g->anchor = open(self, O_PATH | O_CLOEXEC);
	if (writer < 0 || g->anchor < 0)
		return fail(f->s, errno, "open the unnamed file %s", g->name);
	int r = fill(f, g, writer);
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

/* --- opening them --- */

struct ghost *ghost_of_inode(const struct file_set *f, uint32_t dev, uint64_t ino)
{
	vec_for_each (&f->ghost_list, g)
		if ((*g)->e->has_dev && (*g)->e->dev == dev && (*g)->e->has_ino &&
			(*g)->e->ino == ino)
			return *g;
	return NULL;
}

void ghost_will_be_watched(struct ghost *g)
{
	g->watched = true;
}

static int open_anchor(const struct ghost *g, int flags)
{
	char self[32];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", g->anchor);
	int fd = open(self, flags);
	return fd < 0 ? -errno : fd;
}

/* All that had one name share the name's dentry again. */
static int open_watched(struct file_set *f, struct ghost *g, const char *name, int flags)
{
	if (g->anchor < 0) {
		g->anchor = remap_open(f, g->path, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		g->anchor_name = name;
	}
	if (g->anchor < 0)
		return g->anchor;
	return strcmp(g->anchor_name, name) == 0 ? open_anchor(g, flags)
						 : remap_open(f, g->path, name, flags);
}

int ghost_open(struct file_set *f, struct ghost *g, const RegFileEntry *e, int flags)
{
	if (ghost_is_directory(g))
		return path_open(f, g->path, flags);
	if (g->unnamed || g->nameless)
		return open_anchor(g, flags);
	if (g->watched && !S_ISLNK(g->e->mode))
		return open_watched(f, g, e->name, flags);
	return remap_open(f, g->path, e->name, flags);
}

int ghost_take_creator(struct ghost *g, const RegFileEntry *e)
{
	return g->unnamed == e ? take_fd(&g->creator) : -1;
}

/* --- and taking their names away --- */

void ghost_remove_all(struct file_set *f)
{
	vec_for_each (&f->ghost_list, at) {
		struct ghost *g = *at;
		if (g->creator >= 0)
			close(take_fd(&g->creator));
		if (g->anchor >= 0)
			close(take_fd(&g->anchor));
	}
	while (f->doomed.n) {
		const struct doomed *gone = &f->doomed.v[--f->doomed.n];
		bool directory = !gone->ghost || ghost_is_directory(gone->ghost);
		if (gone->ghost && directory)
			set_times(f, gone->ghost); /* what was made in it changed them */
		if (unlinkat(f->root_fd, path_relative(gone->path), directory ? AT_REMOVEDIR : 0) <
			0)
			log_warn(f->s, "cannot remove %s: %s", gone->path, strerror(errno));
	}
}
