/*
 * Making a path lead to its file again: the restore side of remap-fpath.img.
 *
 * A ghost (ghost_restore.c) or a link remap is linked to the name for the moment of opening it
 * there, so that the kernel's idea of the path is what it was, " (deleted)" included.  When the
 * name is taken by another file now, NAME.cr_link serves.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/brief_names.h"
#include "file/procfs_remap.h"

const char *path_relative(const char *path)
{
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

int path_open(const struct file_set *f, const char *path, int flags)
{
	int fd = openat(f->root_fd, path_relative(path), flags);
	return fd < 0 ? -errno : fd;
}

int path_stat(const struct file_set *f, const char *path, int flags, struct stat *st)
{
	return fstatat(f->root_fd, path_relative(path), st, flags) < 0 ? -errno : 0;
}

/* --- missing directories --- */

static char *parent_of(struct file_set *f, const char *path)
{
	char *parent = arena_strdup(&f->s->arena, path_relative(path));
	char *slash = strrchr(parent, '/');
	if (!slash)
		return arena_strdup(&f->s->arena, ".");
	*slash = '\0';
	return parent;
}

void remap_remove_parents(struct file_set *f, const char *path, unsigned made)
{
	for (const char *parent = path; made--;) {
		parent = parent_of(f, parent);
		if (unlinkat(f->root_fd, parent, AT_REMOVEDIR) < 0)
			log_warn(f->s, "cannot remove /%s: %s", parent, strerror(errno));
	}
}

int remap_make_parents(struct file_set *f, const char *path, unsigned *ret_made)
{
	const char *parent = parent_of(f, path);
	struct stat st;
	*ret_made = 0;
	if (fstatat(f->root_fd, parent, &st, 0) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	int r = remap_make_parents(f, parent, ret_made);
	if (r < 0)
		return r;
	if (mkdirat(f->root_fd, parent, 0777) == 0)
		++*ret_made;
	else if (errno != EEXIST)
		r = -errno;
	if (r < 0) { /* those above it */
		remap_remove_parents(f, parent, *ret_made);
		*ret_made = 0;
	}
	return r;
}

/* --- opening by a temporary name --- */

static int link_name(struct file_set *f, const char *target, const char **name)
{
	const char *from = path_relative(target);
	if (linkat(f->root_fd, from, f->root_fd, path_relative(*name), 0) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	*name = arena_printf(&f->s->arena, "%s.cr_link", *name);
	return linkat(f->root_fd, from, f->root_fd, path_relative(*name), 0) < 0 ? -errno : 0;
}

struct opening {
	const char *target, *name;
	int flags;
};

static void take_doomed(void *file_set)
{
	struct file_set *f = file_set;
	while (f->doomed.n)
		ghost_take_last(f);
}

int file_names_do(struct file_set *f, int (*call)(void *file_set, void *arg), void *arg)
{
	int r = f->names ? 0 : brief_names_begin(f->s, take_doomed, f, &f->names);
	return r < 0 ? r : brief_names_do(f->names, call, arg);
}

static int open_linked(void *file_set, void *arg)
{
	struct file_set *f = file_set;
	const struct opening *o = arg;
	unsigned made;
	const char *at = o->name;
	int r = remap_make_parents(f, o->name, &made);
	if (r < 0)
		return r;
	int fd = link_name(f, o->target, &at);
	if (fd >= 0) {
		fd = path_open(f, at, o->flags);
		unlinkat(f->root_fd, path_relative(at), 0);
	}
	remap_remove_parents(f, o->name, made);
	return fd;
}

int remap_open(struct file_set *f, const char *target, const char *name, int flags)
{
	struct opening o = {target, name, flags};
	return file_names_do(f, open_linked, &o);
}

/* --- loading --- */

static int load_ghost(
	struct file_set *f, struct remap *remap, const struct open_file *o, uint32_t id)
{
	remap->type = REMAP_TYPE__GHOST;
	return ghost_load(f, id, o, &remap->ghost);
}

static int load_link(
	struct file_set *f, struct remap *remap, const struct open_file *o, uint32_t id)
{
	const struct open_file *link = file_find(f, id);
	if (!link || link->e->type != FD_TYPES__REG || link->e->reg->name[0] != '/')
		return fail(f->s, EBADMSG,
			"%s: file %u, which it is a link of, is not in the images", o->e->reg->name,
			id);
	remap->type = REMAP_TYPE__LINKED;
	remap->link = link->e->reg->name;
	*vec_push(&f->s->arena, &f->links) = remap->link;
	return 0;
}

static int load_entry(struct file_set *f, const RemapFilePathEntry *e)
{
	struct open_file *o = file_find(f, e->orig_id);
	if (!o || o->e->type != FD_TYPES__REG)
		return fail(
			f->s, EBADMSG, "remap-fpath.img: file %u is not in files.img", e->orig_id);
	struct remap *remap = arena_new(&f->s->arena, struct remap);
	o->remap = remap;
	if (!e->has_remap_type) /* of old dumps */
		return e->remap_id >> 31 ? load_ghost(f, remap, o, e->remap_id & INT32_MAX)
					 : load_link(f, remap, o, e->remap_id);
	switch (e->remap_type) {
	case REMAP_TYPE__GHOST:
		return load_ghost(f, remap, o, e->remap_id);
	case REMAP_TYPE__LINKED:
		return load_link(f, remap, o, e->remap_id);
	case REMAP_TYPE__PROCFS:
		remap->type = REMAP_TYPE__PROCFS;
		remap->pid = (pid_t)e->remap_id;
		procfs_remap_add_helper(f, remap->pid);
		return 0;
	default:
		return fail(
			f->s, EBADMSG, "remap-fpath.img: type %d is not known", (int)e->remap_type);
	}
}

int remap_load(struct file_set *f)
{
	ProtobufCMessage **all;
	size_t n;
	int r = image_read_all(f->s, IMG_REMAP_FPATH, 0, &all, &n);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = load_entry(f, (const RemapFilePathEntry *)all[i]);
	return r;
}
