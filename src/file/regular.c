/*
 * Files with a path: regular files, directories, simple devices, symbolic links (by O_PATH), and
 * anything else opened with O_PATH only.  Type REG of files.img.
 *
 * Dumped as path, open flags and position; the content stays where it is, so the restore checks
 * that size, mode and build-id are those of the dump.  Whether the path leads to the file at all
 * is for reachable.c to find out, and for remap.c to make true again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/build_id.h"
#include "file/dumping.h"
#include "file/restoring.h"

enum {
	KMSG_MINOR = 11,
	RAW_O_TMPFILE = 020000000, /* __O_TMPFILE; comes with O_DIRECTORY */
};

/* Character devices without state of their own, besides all of major 1 (mem(4)). */
static const struct {
	unsigned major, minor;
} stateless[] = {
	{MISC_MAJOR, 183}, /* hwrng */
	{MISC_MAJOR, 235}, /* autofs */
	{MISC_MAJOR, 237}, /* loop-control */
};

static bool is_stateless(const struct file_view *v)
{
	if (v->st.stx_rdev_major == MEM_MAJOR)
		return true;
	for (size_t i = 0; i < sizeof(stateless) / sizeof(stateless[0]); i++)
		if (v->st.stx_rdev_major == stateless[i].major &&
			v->st.stx_rdev_minor == stateless[i].minor)
			return true;
	return false;
}

static bool is_kmsg_writer(const struct file_view *v)
{
	return S_ISCHR(v->st.stx_mode) && v->st.stx_rdev_major == MEM_MAJOR &&
	       v->st.stx_rdev_minor == KMSG_MINOR && (v->flags & O_ACCMODE) == O_WRONLY;
}

const char *file_external_key(struct file_dump *d, const struct file_view *v)
{
	return v->path_only ? NULL
			    : arena_printf(&d->s->arena, "file[%llx:%llx]",
				      (unsigned long long)v->st.stx_mnt_id,
				      (unsigned long long)v->st.stx_ino);
}

/* The name of a file that --external leaves out, or NULL. */
static const char *external_key(struct file_dump *d, const struct file_view *v)
{
	const char *key = d->s->opt->external.n ? file_external_key(d, v) : NULL;
	return key && external_find(d->s->opt, NULL, "%s", key) ? key : NULL;
}

static bool regular_recognize(struct file_dump *d, const struct file_view *v)
{
	if (external_key(d, v))
		return true;
	if (v->link[0] != '/')
		return false;
	if (v->path_only || v->flags & O_PATH)
		return true;
	switch (v->st.stx_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
		return true;
	case S_IFCHR:
		return is_stateless(v);
	default:
		return false;
	}
}

/* --- dump --- */

static bool may_grow(uint32_t flags)
{
	return (flags & O_ACCMODE) == O_WRONLY && flags & O_APPEND;
}

/*
 * chattr(1) came after open(2): the restore could not open it so again.  Append-only files are
 * opened for appending (may_open() in the kernel's fs/namei.c).
 */
static void check_protection(struct file_dump *d, const struct file_view *v)
{
	uint64_t attributes = v->st.stx_attributes;
	bool writable = !v->path_only && !(v->flags & O_PATH) && (v->flags & O_ACCMODE) != O_RDONLY;
	if (!writable || !v->st.stx_nlink || !S_ISREG(v->st.stx_mode))
		return;
	if (attributes & STATX_ATTR_IMMUTABLE)
		view_block(d, v, arena_printf(&d->s->arena, "run chattr -i '%s'", v->link),
			"%s is open for writing, and immutable by now", v->link);
	else if (attributes & STATX_ATTR_APPEND && !(v->flags & O_APPEND))
		view_block(d, v, arena_printf(&d->s->arena, "run chattr -a '%s'", v->link),
			"%s is open for writing anywhere, and append-only by now", v->link);
}

/*
 * What F_NOTIFY (dnotify) has the kernel watch is told by nobody, but it makes the caller the
 * owner; a directory has no other use for one.
 */
static void check_notification(struct file_dump *d, const struct file_view *v)
{
	if (S_ISDIR(v->st.stx_mode) && !v->path_only && !(v->flags & O_PATH) && v->owner.pid)
		view_block(d, v, NULL,
			"signals of the directory %s go to pid %d, as fcntl(F_NOTIFY) has it, and "
			"nothing tells for which events",
			v->link, file_tree_pid(d, v->owner.pid));
}

int regular_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	RegFileEntry *e = arena_new(&d->s->arena, RegFileEntry);
	reg_file_entry__init(e);
	f->detail = e;
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	const char *name = external_key(d, v);
	e->has_ext = e->ext = name != NULL;
	if (!name) {
		check_protection(d, v);
		check_notification(d, v);
	}
	int r = name ? 0 : reachable_collect(d, v, f, &name);
	if (r < 0 || !name)
		return r;
	e->name = (char *)(uintptr_t)name;
	e->has_mode = true;
	e->mode = v->st.stx_mode;
	if (S_ISREG(v->st.stx_mode) && (v->path_only || !may_grow(v->flags))) {
		e->has_size = true;
		e->size = v->st.stx_size;
	}
	r = fown_dump(d, v, &e->fown);
	if (r >= 0 && S_ISREG(v->st.stx_mode) && !e->ext)
		r = build_id_dump(d, v, e);
	if (r < 0)
		return r;
	e->pos = is_kmsg_writer(v) && !v->pos ? UINT64_MAX : (uint64_t)v->pos;
	return 0;
}

/* --- restore --- */

static int check_size(struct file_set *f, const RegFileEntry *e, const struct stat *st)
{
	if (!e->has_size || !S_ISREG(st->st_mode) || (uint64_t)st->st_size == e->size)
		return 0;
	if (e->flags & O_APPEND && (uint64_t)st->st_size > e->size)
		return 0; /* a log that others went on writing */
	return fail(f->s, EINVAL, "%s: its size is %jd bytes now, %ju at the dump", e->name,
		(intmax_t)st->st_size, (uintmax_t)e->size);
}

static int check_mode(struct file_set *f, const RegFileEntry *e, const struct stat *st)
{
	uint32_t ignored = f->s->opt->skip_file_rwx_check ? 0777 : 0;
	if (!e->has_mode || !((e->mode ^ st->st_mode) & ~ignored))
		return 0;
	bool same_type = !((e->mode ^ st->st_mode) & S_IFMT);
	return fail_remedy(f->s, EINVAL,
		same_type ? "set it back, or use --skip-file-rwx-check" : NULL,
		"%s: its mode is %o now, %o at the dump", e->name, st->st_mode, e->mode);
}

/* Files of processes: those of the tree are not there yet. */
static bool is_of_process(const struct file_set *f, const char *path, bool *ret_late)
{
	int pid, used = 0;
	if (sscanf(path, "/proc/%d%n", &pid, &used) != 1 || (path[used] && path[used] != '/'))
		return false;
	*ret_late = strncmp(path + used, "/task/", 6) == 0 ||
		    strncmp(path + used, "/fdinfo/", 8) == 0 ||
		    strncmp(path + used, "/fd/", 4) == 0;
	return tree_find(f->tree, pid) != NULL;
}

static int check_target(struct file_set *f, const struct open_file *o)
{
	const RegFileEntry *e = o->e->reg;
	const char *path = o->remap ? o->remap->link : e->name;
	struct stat st;
	bool symlink = e->has_mode && S_ISLNK(e->mode);
	int r = path_stat(f, path, symlink ? AT_SYMLINK_NOFOLLOW : 0, &st);
	if (r < 0)
		return fail(f->s, r, "%s: %s", open_file_label(f, o), path);
	r = check_mode(f, e, &st);
	if (r >= 0)
		r = check_size(f, e, &st);
	if (r >= 0 && e->n_build_id && f->s->opt->file_validation == VALIDATE_BUILDID)
		r = build_id_check(f, o, path, &st);
	return r;
}

static const char *regular_inherit_key(struct file_set *f, const struct open_file *o)
{
	(void)f;
	const RegFileEntry *e = o->e->reg;
	return e->has_ext && e->ext ? e->name : path_relative(e->name);
}

/* Opened again from what we inherited, so it must be the same file. */
static int check_external(struct file_set *f, struct open_file *o)
{
	const RegFileEntry *e = o->e->reg;
	struct stat st;
	o->flags = e->flags;
	o->fown = e->fown;
	if (o->inherited < 0)
		return fail_remedy(f->s, ENOENT,
			arena_printf(&f->s->arena, "use --inherit-fd 'fd[N]:%s'", e->name),
			"%s: %s is external", open_file_label(f, o), e->name);
	if (fstat(o->inherited, &st) < 0)
		return fail(f->s, errno, "our descriptor %d", o->inherited);
	int r = check_mode(f, e, &st);
	return r < 0 ? r : check_size(f, e, &st);
}

/* The name of a mapping that a plugin makes again: see mem/vma_plugin.c. */
static bool is_for_plugins(const RegFileEntry *e)
{
	return strncmp(e->name, "anon_inode:", 11) == 0 || strncmp(e->name, "/dmabuf:", 8) == 0;
}

int regular_check(struct file_set *f, struct open_file *o)
{
	const RegFileEntry *e = o->e->reg;
	if (e->has_ext && e->ext)
		return check_external(f, o);
	if (o->inherited >= 0 || is_for_plugins(e))
		return 0;
	if (e->name[0] != '/')
		return fail(f->s, EBADMSG,
			"file %u: the path \"%s\" of its image does not begin "
			"with a slash",
			o->id, e->name);
	if (e->has_mnt_id && e->mnt_id != -1)
		return fail(f->s, EOPNOTSUPP,
			"%s is in a dumped mount namespace, which is not "
			"supported yet",
			e->name);
	o->flags = e->flags;
	o->fown = e->fown;
	if (o->of_tty)
		return 0; /* not there yet, or for tty_restore.c to look at */
	if (o->remap && o->remap->type != REMAP_TYPE__LINKED)
		return 0;
	if (is_of_process(f, e->name, &o->late))
		return 0;
	o->late = false;
	return f->s->images_only ? 0 : check_target(f, o);
}

/* Flags that mean the same again: nothing is created, no terminal acquired. */
static uint32_t open_flags(const RegFileEntry *e, uint32_t flags)
{
	if (flags & RAW_O_TMPFILE)
		flags &= ~(uint32_t)(RAW_O_TMPFILE | O_DIRECTORY);
	if (e->has_mode && S_ISLNK(e->mode))
		flags |= O_NOFOLLOW | O_PATH;
	flags &= ~(uint32_t)(O_CREAT | O_EXCL | O_TRUNC | O_ASYNC);
	return flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY);
}

int regular_open(struct file_set *f, struct open_file *o, uint32_t flags, int *ret_fd)
{
	const RegFileEntry *e = o->e->reg;
	const struct remap *remap = o->remap;
	int how = (int)open_flags(e, flags), fd;
	if (o->inherited >= 0)
		return inherit_reopen(f, o, o->inherited, how, ret_fd);
	if (remap && remap->type == REMAP_TYPE__GHOST) {
		int r = ghost_create_all(f);
		if (r < 0)
			return r;
		fd = ghost_open(f, remap->ghost, e, how);
	} else if (remap && remap->type == REMAP_TYPE__LINKED) {
		fd = remap_open(f, remap->link, e->name, how);
	} else {
		fd = path_open(f, e->name, how);
	}
	if (fd < 0)
		return fail(f->s, fd, "%s: open %s", open_file_label(f, o), e->name);
	*ret_fd = fd;
	return 0;
}

static int regular_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	const RegFileEntry *e = o->e->reg;
	_cleanup_close_ int fd = -1;
	int r = 0;
	if (o->inherited >= 0 && !(e->has_ext && e->ext)) {
		o->prepared = true; /* it is used as it is */
		return inherit_dup(f, o, ret_fd);
	}
	if (o->remap && o->remap->type == REMAP_TYPE__GHOST) {
		r = ghost_create_all(f);
		fd = r < 0 ? -1 : ghost_take_creator(o->remap->ghost, e);
	}
	if (r >= 0 && fd < 0)
		r = regular_open(f, o, o->flags, &fd);
	if (r < 0)
		return r;
	if (e->pos && e->pos != UINT64_MAX && !(o->flags & O_PATH) &&
		lseek(fd, (off_t)e->pos, SEEK_SET) < 0)
		return fail(f->s, errno, "%s: seek to %ju in %s", open_file_label(f, o),
			(uintmax_t)e->pos, e->name);
	*ret_fd = take_fd(&fd);
	return 0;
}

const struct file_type regular_type = {
	.type = FD_TYPES__REG,
	.name = "file",
	.restored = "files, directories, devices without state, O_PATH; removed files up to "
		    "`--ghost-limit`, with attributes, ACLs, inode flags; other hard links with "
		    "`--link-remap`; locks and "
		    "leases with `--file-locks`",
	.limits =
		"files hidden by other mounts, devices with state; what is open for writing though "
		"`chattr` forbids that by now; directories with F_NOTIFY",
	.detail = offsetof(FileEntry, reg),
	.sets_flags = true,
	.recognize = regular_recognize,
	.collect = regular_collect,
	.inherits_itself = true,
	.check = regular_check,
	.inherit_key = regular_inherit_key,
	.create = regular_create,
};
