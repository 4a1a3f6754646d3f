/*
 * What the kernel tells about an open file, asked on the controller's own copy of it.
 *
 * A copy made by pidfd_getfd(2) is the same open file, so nothing asked here may change it:
 * statx, fcntl getters, readlink.  lseek(fd, 0, SEEK_CUR) changes nothing on regular files and
 * directories; some devices answer it by resetting the position (drivers/char/mem.c), so for
 * all others fdinfo is read, which costs far more.
 */
#include "file/dumping.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kernel/proc_fdinfo.h"

const char *source_label(struct file_dump *d, const struct file_source *from)
{
	const char *link = from->link;
	if (from->label)
		return from->label;
	if (from->number >= 0)
		return arena_printf(&d->s->arena, "fd %d", from->number);
	if (strncmp(link, "map_files/", 10) == 0)
		return arena_printf(&d->s->arena, "mapping %s", link + 10);
	if (strcmp(link, "cwd") == 0)
		return "current directory";
	if (strcmp(link, "root") == 0)
		return "root directory";
	return strcmp(link, "exe") == 0 ? "executable" : link;
}

const char *view_label(struct file_dump *d, const struct file_view *v)
{
	return source_label(d, &v->from);
}

struct inode_info *file_inode(struct file_dump *d, uint64_t dev, uint64_t ino)
{
	uint64_t key = dev * UINT64_C(0x9e3779b97f4a7c15) ^ ino;
	struct inode_info *first = id_map_get(&d->inodes, key);
	for (struct inode_info *i = first; i; i = i->next)
		if (i->dev == dev && i->ino == ino)
			return i;
	struct inode_info *new = arena_new(&d->s->arena, struct inode_info);
	*new = (struct inode_info){.next = first, .dev = dev, .ino = ino};
	id_map_put(&d->s->arena, &d->inodes, key, new);
	return new;
}

/* Asked once per device. */
static int read_fs_type(struct file_dump *d, struct file_view *v)
{
	struct statfs *known = id_map_get(&d->devices, v->dev);
	if (!known) {
		known = arena_new(&d->s->arena, struct statfs);
		if (fstatfs(v->fd, known) < 0)
			return -errno;
		id_map_put(&d->s->arena, &d->devices, v->dev, known);
	}
	v->fs_type = known->f_type;
	return 0;
}

static int read_link(struct session *s, const struct file_dump *d, struct file_view *v)
{
	char number[16], text[PATH_MAX + 1];
	snprintf(number, sizeof(number), "%d", v->fd);
	ssize_t n = readlinkat(d->proc_self_fd, number, text, sizeof(text));
	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof(text))
		return -ENAMETOOLONG;
	text[n] = '\0';
	v->link = arena_memdup(&s->arena, text, (size_t)n + 1);
	return 0;
}

/*
 * /proc/PID/fd and fdinfo of a dead process have no attributes any more (proc_fd_getattr(),
 * Linux 6.2); they are what they were.
 */
static int read_dead_directory(struct session *s, struct file_view *v)
{
	_cleanup_proc_buf_ struct proc_buf buf = {0};
	struct proc_fdinfo info;
	struct statfs fs;
	if (fstatfs(v->fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return -ENOENT;
	int r = proc_fdinfo_read(s, getpid(), v->fd, &buf, &info);
	if (r < 0)
		return r;
	v->st = (struct statx){.stx_mask = STATX_BASIC_STATS | STATX_MNT_ID,
		.stx_mode = S_IFDIR | 0500,
		.stx_nlink = 2,
		.stx_mnt_id = (uint64_t)info.mnt_id};
	return 0;
}

static int read_status(struct session *s, struct file_view *v)
{
	unsigned want = STATX_BASIC_STATS | STATX_MNT_ID;
	int r = statx(v->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, want, &v->st) < 0 ? -errno : 0;
	if (r == -ENOENT)
		r = read_dead_directory(s, v);
	if (r < 0)
		return r;
	if (!(v->st.stx_mask & STATX_MNT_ID))
		return -EOPNOTSUPP;
	v->dev = makedev(v->st.stx_dev_major, v->st.stx_dev_minor);
	int flags = v->path_only ? 0 : fcntl(v->fd, F_GETFL);
	if (flags < 0)
		return -errno;
	v->flags = (uint32_t)flags;
	return 0;
}

static bool seek_tells_pos(const struct file_view *v)
{
	return (S_ISREG(v->st.stx_mode) || S_ISDIR(v->st.stx_mode)) &&
	       v->fs_type != PROC_SUPER_MAGIC && v->fs_type != SYSFS_MAGIC;
}

/* /dev/null, zero, full, random, urandom: nothing moves their position from 0. */
static bool has_no_pos(const struct file_view *v)
{
	unsigned minor = v->st.stx_rdev_minor;
	return v->path_only || v->flags & O_PATH ||
	       (S_ISCHR(v->st.stx_mode) && v->st.stx_rdev_major == MEM_MAJOR &&
		       (minor == 3 || minor == 5 || (minor >= 7 && minor <= 9)));
}

static int read_pos(struct file_view *v)
{
	v->pos = -1;
	if (has_no_pos(v))
		v->pos = 0;
	else if (seek_tells_pos(v))
		v->pos = lseek(v->fd, 0, SEEK_CUR);
	return 0;
}

int view_fdinfo(struct file_dump *d, const struct file_view *v, struct proc_fdinfo *ret)
{
	_cleanup_proc_buf_ struct proc_buf buf = {0};
	if (v->fdinfo) {
		*ret = *v->fdinfo;
		return 0;
	}
	int r = proc_fdinfo_read(d->s, getpid(), v->fd, &buf, ret);
	return r < 0 ? fail(d->s, r, "pid %d %s: read its fdinfo", v->from.task->vpid,
			       view_label(d, v))
		     : 0;
}

int view_malformed(struct file_dump *d, const struct file_view *v)
{
	return fail(d->s, EINVAL, "pid %d %s: fdinfo of %s says what no known kernel says",
		v->from.task->vpid, view_label(d, v), v->link);
}

int view_fdinfo_pos(struct file_dump *d, struct file_view *v)
{
	struct proc_fdinfo info;
	if (v->pos >= 0)
		return 0;
	int r = view_fdinfo(d, v, &info);
	if (r < 0)
		return r;
	v->pos = info.pos;
	return 0;
}

int file_look(struct session *s, const struct file_dump *d, struct file_view *v)
{
	int r = read_status(s, v);
	if (r >= 0)
		r = read_link(s, d, v);
	return r;
}

int file_look_further(struct file_dump *d, struct file_view *v)
{
	int r = read_fs_type(d, v);
	if (r >= 0)
		r = read_pos(v);
	if (r < 0)
		return r;
	v->inode = file_inode(d, v->dev, v->st.stx_ino);
	return 0;
}

int file_examine(
	struct file_dump *d, struct file_source from, int fd, bool path_only, struct file_view *ret)
{
	*ret = (struct file_view){.from = from, .fd = fd, .path_only = path_only};
	int r = file_look(d->s, d, ret);
	if (r >= 0)
		r = file_look_further(d, ret);
	if (r < 0)
		return fail(d->s, r, "pid %d %s: examine it", from.task->vpid, view_label(d, ret));
	return 0;
}
