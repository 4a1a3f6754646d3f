/*
 * Fanotify groups: fanotify_init(2), fanotify_mark(2).
 *
 * fdinfo gives the flags of the group and its marks, on inodes (found by fsnotify.c) and on mounts.
 * The image has no marks on whole filesystems: refused.  So are groups that decide about access:
 * a dump opens files and would wait for the answer of the very task that it has stopped, and what
 * waits for an answer is let through when the listener is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/fsnotify.h"

#ifndef FAN_MARK_EVICTABLE /* Linux 5.19 */
#define FAN_MARK_EVICTABLE 0x200
#endif
#ifndef FAN_MARK_IGNORE /* Linux 6.0 */
#define FAN_MARK_IGNORE 0x400
#endif
#ifndef FAN_PRE_ACCESS /* Linux 6.14 */
#define FAN_PRE_ACCESS 0x100000
#endif
#define DECISIONS (FAN_OPEN_PERM | FAN_ACCESS_PERM | FAN_OPEN_EXEC_PERM | (uint64_t)FAN_PRE_ACCESS)

static bool fanotify_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return strcmp(v->link, "anon_inode:[fanotify]") == 0;
}

static int collect_mount_mark(
	struct file_dump *d, struct file_view *v, const struct fdinfo_mark *m, FanotifyMarkEntry *e)
{
	FanotifyMountMarkEntry *me = e->me = arena_new(&d->s->arena, FanotifyMountMarkEntry);
	fanotify_mount_mark_entry__init(me);
	e->type = MARK_TYPE__MOUNT;
	me->mnt_id = (uint32_t)m->mnt_id;
	int r = fsnotify_mount_path(d, m->mnt_id, &me->path, &e->s_dev);
	if (r == -ENOENT) {
		view_block(d, v, NULL,
			"a fanotify mark on mount %ju, which the tree does not see or another "
			"hides",
			(uintmax_t)m->mnt_id);
		return 0;
	}
	return r;
}

static void collect_inode_mark(struct file_dump *d, struct dumped_file *f,
	const struct fdinfo_mark *m, FanotifyMarkEntry *e)
{
	FanotifyInodeMarkEntry *ie = e->ie = arena_new(&d->s->arena, FanotifyInodeMarkEntry);
	fanotify_inode_mark_entry__init(ie);
	e->type = MARK_TYPE__INODE;
	e->s_dev = (uint32_t)m->sdev;
	ie->i_ino = m->ino;
	ie->f_handle = fsnotify_collect_mark(d, f, "a fanotify mark", m);
}

static int collect_mark(struct file_dump *d, struct file_view *v, struct dumped_file *f,
	const struct fdinfo_mark *m, FanotifyMarkEntry *e)
{
	fanotify_mark_entry__init(e);
	e->mflags = (uint32_t)m->mflags;
	e->mask = (uint32_t)m->mask;
	e->ignored_mask = (uint32_t)m->ignored_mask;
	if ((m->mask | m->ignored_mask) & DECISIONS)
		view_block(d, v, "end the program that decides, and start it again",
			"a fanotify group that decides about access to files: "
			"the dump itself could wait for it");
	if (m->kind == MARK_FILESYSTEM)
		view_block(d, v, NULL,
			"a fanotify mark on a whole filesystem (%ju:%ju), which is not supported",
			(uintmax_t)m->sdev >> 20, (uintmax_t)m->sdev & 0xfffff);
	else if (m->kind == MARK_MOUNT)
		return collect_mount_mark(d, v, m, e);
	else
		collect_inode_mark(d, f, m, e);
	return 0;
}

static int collect_marks(
	struct file_dump *d, struct file_view *v, struct dumped_file *f, FanotifyFileEntry *e)
{
	VEC(FanotifyMarkEntry *) marks = {0};
	struct proc_fdinfo info;
	struct fdinfo_mark m;
	bool malformed;
	int r = view_fdinfo(d, v, &info);
	struct scan c = {0};
	if (r >= 0)
		c = fdinfo_extra(&info);
	while (r >= 0 && fdinfo_mark_next(&c, "fanotify", &m, &malformed)) {
		if (m.kind == MARK_GROUP) {
			e->faflags = (uint32_t)m.flags;
			e->evflags = (uint32_t)m.event_flags;
			continue;
		}
		FanotifyMarkEntry *mark = arena_new(&d->s->arena, FanotifyMarkEntry);
		r = collect_mark(d, v, f, &m, mark);
		*vec_push(&d->s->arena, &marks) = mark;
	}
	e->mark = marks.v;
	e->n_mark = marks.n;
	return r < 0 ? r : malformed ? view_malformed(d, v) : 0;
}

static int fanotify_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	FanotifyFileEntry *e = arena_new(&d->s->arena, FanotifyFileEntry);
	f->detail = e;
	fanotify_file_entry__init(e);
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	int r = fsnotify_check_queue(
		d, v, "a fanotify group", "dump again when the program has read them");
	if (r >= 0)
		r = collect_marks(d, v, f, e);
	return r < 0 ? r : fown_dump(d, v, &e->fown);
}

/* --- restore --- */

static int open_mount(struct file_set *f, const struct open_file *o, const char *path, int *ret_fd)
{
	struct statx st;
	_cleanup_close_ int fd = path_open(f, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(
			f->s, fd, "%s: open %s, the mount it watches", open_file_label(f, o), path);
	/* a mark of what lies below would watch more than it did */
	if (statx(fd, "", AT_EMPTY_PATH, 0, &st) == 0 &&
		st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT &&
		!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return fail(f->s, ENOENT, "%s: %s, which it watches, is no mount any more",
			open_file_label(f, o), path);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int check_mark(struct file_set *f, const struct open_file *o, const FanotifyMarkEntry *m)
{
	_cleanup_close_ int fd = -1;
	if (m->type == MARK_TYPE__INODE && m->ie)
		return fsnotify_check_mark(f, o, m->ie->i_ino, m->s_dev, m->ie->f_handle);
	if (m->type == MARK_TYPE__MOUNT && m->me && m->me->path)
		return f->s->images_only ? 0 : open_mount(f, o, m->me->path, &fd);
	return fail(f->s, EBADMSG, "%s: a fanotify mark of its image lacks what it is on",
		open_file_label(f, o));
}

static int fanotify_check(struct file_set *f, struct open_file *o)
{
	const FanotifyFileEntry *e = o->e->ffy;
	o->flags = e->flags;
	o->fown = e->fown;
	int r = 0;
	for (size_t i = 0; i < e->n_mark && r >= 0; i++)
		r = check_mark(f, o, e->mark[i]);
	return r;
}

static int fanotify_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	const FanotifyFileEntry *e = o->e->ffy;
	_cleanup_close_ int fd = fanotify_init(e->faflags, e->evflags);
	/* the flags stay those that the program gave */
	if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return fail(f->s, errno, "%s: make a fanotify group with flags %x",
			open_file_label(f, o), e->faflags);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The mask and what is ignored are two calls; flags that say how to ignore go with the latter. */
static int set_mark(int fd, const FanotifyMarkEntry *m, const char *path)
{
	unsigned add = FAN_MARK_ADD | (m->type == MARK_TYPE__MOUNT ? FAN_MARK_MOUNT : 0) |
		       (m->mflags & FAN_MARK_EVICTABLE);
	unsigned ignore = m->mflags & (FAN_MARK_IGNORED_SURV_MODIFY | FAN_MARK_IGNORE);
	if (!(ignore & FAN_MARK_IGNORE))
		ignore |= FAN_MARK_IGNORED_MASK;
	if (m->mask && fanotify_mark(fd, add, m->mask, AT_FDCWD, path) < 0)
		return -errno;
	if (m->ignored_mask && fanotify_mark(fd, add | ignore, m->ignored_mask, AT_FDCWD, path) < 0)
		return -errno;
	return 0;
}

static int add_mark(
	struct file_set *f, const struct open_file *o, const FanotifyMarkEntry *m, int fd)
{
	_cleanup_close_ int target = -1;
	int r = m->type == MARK_TYPE__MOUNT ? open_mount(f, o, m->me->path, &target)
					    : fsnotify_open_mark(f, o, m->ie->i_ino, m->s_dev,
						      m->ie->f_handle, &target);
	if (r < 0)
		return r;
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	r = set_mark(fd, m, path);
	return r < 0 ? fail(f->s, r, "%s: set a fanotify mark (mask %x, ignored %x, flags %x)",
			       open_file_label(f, o), m->mask, m->ignored_mask, m->mflags)
		     : 0;
}

static int fanotify_finish(struct file_set *f, struct open_file *o, int fd)
{
	const FanotifyFileEntry *e = o->e->ffy;
	int r = 0;
	for (size_t i = 0; i < e->n_mark && r >= 0; i++)
		r = add_mark(f, o, e->mark[i], fd);
	return r;
}

const struct file_type fanotify_type = {
	.type = FD_TYPES__FANOTIFY,
	.name = "fanotify group",
	.restored = "marks of inodes and mounts",
	.limits = "groups that decide about access; marks of whole filesystems",
	.detail = offsetof(FileEntry, ffy),
	.recognize = fanotify_recognize,
	.collect = fanotify_collect,
	.check = fanotify_check,
	.create = fanotify_create,
	.finish = fanotify_finish,
	.drain = fsnotify_drain,
};
