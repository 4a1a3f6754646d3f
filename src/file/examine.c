/*
 * What the kernel tells about an open file, asked on the controller's own copy of it.
 *
 * A copy made by pidfd_getfd(2) is the same open file, so nothing asked here may change it:
 * statx, fcntl getters, readlink, fdinfo.  Not lseek(fd, 0, SEEK_CUR): some devices answer it by
 * resetting the position (drivers/char/mem.c).
 */
#include "file/dumping.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/share.h"
#include "kernel/file_identity.h"
#include "kernel/proc_fdinfo.h"
#include "kernel/syscalls.h"

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

int view_poll(struct file_dump *d, const struct file_view *v, short events)
{
	int r = sys_poll_now(v->fd, events);
	if (r >= 0)
		return r;
	view_block(d, v, "try again", "%s: what waits in it cannot be asked for: %s", v->link,
		strerror(-r));
	return 0;
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

/* As readlinkat(2) takes them; the name of a link that is open itself is empty. */
static int read_link(struct session *s, int dir, const char *name, struct file_view *v)
{
	char text[PATH_MAX + 1];
	ssize_t n = readlinkat(dir, name, text, sizeof(text));
	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof(text))
		return -ENAMETOOLONG;
	text[n] = '\0';
	v->link = arena_memdup(&s->arena, text, (size_t)n + 1);
	return 0;
}

static int read_own_link(struct session *s, const struct file_dump *d, struct file_view *v)
{
	char name[16];
	snprintf(name, sizeof(name), "%d", v->fd);
	return read_link(s, d->proc_self_fd, name, v);
}

static int open_number(int dir, int number, int flags)
{
	char name[16];
	snprintf(name, sizeof(name), "%d", number);
	int fd = openat(dir, name, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int desk_make(struct file_dump *d, struct desk *desk)
{
	if (desk->fd >= 0)
		return 0;
	_cleanup_close_ int fd = fcntl(d->proc_self_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return fail(d->s, errno, "duplicate a descriptor");
	desk->fdinfo = open_number(d->proc_self_fdinfo, fd, O_RDONLY);
	if (desk->fdinfo < 0)
		return fail(d->s, desk->fdinfo, "open /proc/self/fdinfo/%d", fd);
	desk->link = open_number(d->proc_self_fd, fd, O_PATH | O_NOFOLLOW);
	if (desk->link < 0)
		return fail(d->s, desk->link, "open /proc/self/fd/%d", fd);
	desk->fd = take_fd(&fd);
	return 0;
}

/* Of an epoll set of thousands: a record that is ready in the kernel as a whole, from `have` on. */
static int read_rest(int fd, const char *begin, size_t have, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *text = NULL;
	size_t room = have;
	for (;;) {
		room *= 4;
		char *grown = realloc(text, room);
		if (!grown)
			return -ENOMEM;
		if (!text)
			memcpy(grown, begin, have);
		text = grown;
		while (have < room) {
			ssize_t n = pread(fd, text + have, room - have, (off_t)have);
			if (n < 0)
				return -errno;
			if (!n) {
				*ret = text;
				*ret_len = have;
				text = NULL;
				return 0;
			}
			have += (size_t)n;
		}
	}
}

static int read_fdinfo(struct session *s, int fd, struct file_view *v)
{
	char begin[4096], *text = begin;
	_cleanup_free_ char *whole = NULL;
	ssize_t n = pread(fd, begin, sizeof(begin), 0);
	size_t len = (size_t)n;
	int r = n < 0 ? -errno : 0;
	if (r >= 0 && len == sizeof(begin)) {
		r = read_rest(fd, begin, len, &whole, &len);
		text = whole;
	}
	if (r >= 0)
		r = proc_fdinfo_parse(&s->arena, text, len, &v->fdinfo);
	v->has_fdinfo = r >= 0;
	v->flags = v->fdinfo.flags & ~(uint32_t)O_CLOEXEC;
	v->pos = v->fdinfo.pos;
	return r;
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
	if (v->like) {
		v->st = v->like->st;
		v->dev = v->like->dev;
		return 0;
	}
	int r = statx(v->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, want, &v->st) < 0 ? -errno : 0;
	if (r == -ENOENT)
		r = read_dead_directory(s, v);
	if (r < 0)
		return r;
	if (!(v->st.stx_mask & STATX_MNT_ID))
		return -EOPNOTSUPP;
	v->dev = makedev(v->st.stx_dev_major, v->st.stx_dev_minor);
	return 0;
}

/* What an open file has beyond its inode. */
static int read_open(struct file_view *v)
{
	socklen_t len = sizeof(v->family);
	if (v->flags & O_PATH)
		return 0;
	if (S_ISSOCK(v->st.stx_mode))
		getsockopt(v->fd, SOL_SOCKET, SO_DOMAIN, &v->family, &len);
	v->owner = (struct f_owner_ex){.type = F_OWNER_TID};
	if (v->identity && !v->identity->owner)
		return 0;
	v->signum = fcntl(v->fd, F_GETSIG);
	return v->signum < 0 || fcntl(v->fd, F_GETOWN_EX, &v->owner) < 0 ? -errno : 0;
}

int view_fdinfo(struct file_dump *d, const struct file_view *v, struct proc_fdinfo *ret)
{
	*ret = v->fdinfo;
	return v->has_fdinfo ? 0 : view_fdinfo_now(d, v, ret);
}

int view_fdinfo_now(struct file_dump *d, const struct file_view *v, struct proc_fdinfo *ret)
{
	_cleanup_proc_buf_ struct proc_buf buf = {0};
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

/* The link of an open socket says nothing that was not asked: sockfs_dname() in net/socket.c. */
static bool is_socket(const struct file_view *v)
{
	return S_ISSOCK(v->st.stx_mode) && !(v->flags & O_PATH);
}

/* On the desk, or where it lies. */
static int look_at(
	struct session *s, const struct file_dump *d, const struct desk *desk, struct file_view *v)
{
	_cleanup_close_ int own = -1;
	if (desk && dup3(v->fd, desk->fd, O_CLOEXEC) < 0)
		return -errno;
	int fdinfo = desk ? desk->fdinfo
			  : (own = open_number(d->proc_self_fdinfo, v->fd, O_RDONLY));
	int r = fdinfo < 0 ? fdinfo : read_fdinfo(s, fdinfo, v);
	if (r < 0)
		return r;
	if (v->like)
		v->link = v->like->link;
	else if (is_socket(v))
		v->link = arena_printf(&s->arena, "socket:[%ju]", (uintmax_t)v->st.stx_ino);
	else
		r = desk ? read_link(s, desk->link, "", v) : read_own_link(s, d, v);
	return r < 0 ? r : read_open(v);
}

int file_look(
	struct session *s, const struct file_dump *d, const struct desk *desk, struct file_view *v)
{
	int r = read_status(s, v);
	if (r < 0)
		return r;
	return v->path_only ? read_own_link(s, d, v) : look_at(s, d, desk, v);
}

int file_look_further(struct file_dump *d, struct file_view *v)
{
	int r = read_fs_type(d, v);
	if (r < 0)
		return r;
	v->inode = file_inode(d, v->dev, v->st.stx_ino);
	return 0;
}

int file_examine(struct file_dump *d, struct file_view *v)
{
	int r = v->link ? 0 : file_look(d->s, d, NULL, v);
	if (r >= 0)
		r = file_look_further(d, v);
	if (r < 0)
		return fail(d->s, r, "pid %d %s: examine it", v->from.task->vpid, view_label(d, v));
	return 0;
}

int view_read_later(
	struct file_dump *d, struct file_view *v, struct dumped_file *f, view_reader *read)
{
	if (!v->stays)
		return read(d, v, f);
	*vec_push(&d->s->arena, &d->readings) = (struct view_reading){read, v, f};
	return 0;
}

int view_take(struct file_view *v)
{
	if (!v->stays || v->taken)
		return fcntl(v->fd, F_DUPFD_CLOEXEC, 0);
	v->taken = true;
	return v->fd;
}

static int read_one(struct session *s, void *arg, size_t i)
{
	const struct file_dump *d = arg;
	const struct view_reading *r = &d->readings.v[i];
	struct file_dump own = *d;
	own.s = s;
	return r->read(&own, r->v, r->f);
}

int views_read(struct file_dump *d)
{
	int r = share_out(d->s, d->readings.n, read_one, d);
	d->readings.n = 0;
	return r;
}
