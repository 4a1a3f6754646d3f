/*
 * What a removed file has that the reference's image has no field for: extended attributes, POSIX
 * ACLs among them, and inode flags (FS_IOC_GETFLAGS, chattr(1)).
 *
 * They are in fermata-files.img, with the entry of the first open file.  Attributes are given when
 * the owner is known (chown(2) takes security.capability away); flags at the very end, for an
 * immutable file can neither be opened for writing nor lose its name, but for those that btrfs
 * takes only while the file is empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "file/file_extras.h"
#include "file/ghost.h"

enum {
	OF_EMPTY_FILE = FS_COMPR_FL | FS_NOCOMP_FL | FS_NOCOW_FL,
	KEPT = OF_EMPTY_FILE | FS_SECRM_FL | FS_UNRM_FL | FS_SYNC_FL | FS_IMMUTABLE_FL |
	       FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_NOTAIL_FL | FS_JOURNAL_DATA_FL |
	       FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_PROJINHERIT_FL,
	FD_PATH_MAX = 32,
};

static const char acl_prefix[] = "system.posix_acl_";

static void fd_path(int fd, char path[static FD_PATH_MAX])
{
	snprintf(path, FD_PATH_MAX, "/proc/self/fd/%d", fd);
}

static bool has_none(int err)
{
	return err == ENOTSUP || err == ENOSYS;
}

/* The names, each ending with a zero byte; *ret is NULL if there are none. Or -errno. */
static ssize_t list_names(const char *path, char **ret)
{
	char few[256];
	*ret = NULL;
	ssize_t n = listxattr(path, few, sizeof(few));
	if (n < 0 && has_none(errno))
		return 0;
	if (n < 0 && errno != ERANGE)
		return -errno;
	size_t room = n < 0 ? XATTR_LIST_MAX : (size_t)n;
	char *names = n ? malloc(room) : NULL;
	if (!n)
		return 0;
	if (!names)
		return -ENOMEM;
	n = listxattr(path, names, room);
	if (n > 0)
		*ret = names;
	else
		free(names);
	return n < 0 ? -errno : n;
}

/* --- dump --- */

static int keep_xattr(struct file_dump *d, FermataGhost *g, const char *path, const char *name)
{
	_cleanup_free_ void *value = malloc(XATTR_SIZE_MAX);
	ssize_t n = value ? getxattr(path, name, value, XATTR_SIZE_MAX) : -1;
	if (n < 0)
		return -errno;
	FermataXattr *x = arena_new(&d->s->arena, FermataXattr);
	fermata_xattr__init(x);
	x->name = arena_strdup(&d->s->arena, name);
	x->value.len = (size_t)n;
	x->value.data = arena_memdup(&d->s->arena, value, (size_t)n);
	g->xattrs[g->n_xattrs++] = x;
	return 0;
}

static int read_xattrs(struct file_dump *d, const char *path, FermataGhost *g)
{
	_cleanup_free_ char *names = NULL;
	ssize_t len = list_names(path, &names);
	if (len <= 0 || !names)
		return (int)len;
	size_t most = 0;
	for (ssize_t i = 0; i < len; i++)
		most += !names[i];
	g->xattrs = arena_array(&d->s->arena, FermataXattr *, most);
	int r = 0;
	for (const char *name = names; name < names + len && r >= 0; name += strlen(name) + 1)
		r = keep_xattr(d, g, path, name);
	return r;
}

static int read_flags(
	struct file_dump *d, const struct file_view *v, const struct file_source *from, int *ret)
{
	bool usable = v->fd >= 0 && !v->path_only && !(v->flags & O_PATH);
	_cleanup_close_ int opened = usable ? -1 : source_reopen(d, from, O_RDONLY);
	if (!usable && opened < 0)
		return opened;
	/* filesystems without any say so in various ways */
	if (ioctl(usable ? v->fd : opened, FS_IOC_GETFLAGS, ret) < 0)
		*ret = 0;
	return 0;
}

int ghost_extras_collect(struct file_dump *d, const struct file_view *v, struct dumped_file *f)
{
	char path[FD_PATH_MAX];
	FermataGhost *g = arena_new(&d->s->arena, FermataGhost);
	fermata_ghost__init(g);
	if (S_ISLNK(v->st.stx_mode))
		return 0;
	if (v->st.stx_attributes & STATX_ATTR_VERITY)
		view_block(d, v, NULL,
			"the removed file %s is under fs-verity, which another file cannot be "
			"given",
			v->link);
	_cleanup_close_ int opened = v->fd < 0 ? source_reopen(d, &v->from, O_PATH) : -1;
	if (v->fd < 0 && opened < 0)
		return opened;
	fd_path(v->fd < 0 ? opened : v->fd, path);
	int flags = 0, r = read_xattrs(d, path, g);
	if (r < 0)
		return fail(d->s, r, "pid %d %s: read the extended attributes of %s",
			v->from.task->vpid, view_label(d, v), v->link);
	if (S_ISREG(v->st.stx_mode) || S_ISDIR(v->st.stx_mode))
		r = read_flags(d, v, &v->from, &flags);
	if (r < 0)
		return r;
	g->has_inode_flags = flags & KEPT;
	g->inode_flags = (uint32_t)(flags & KEPT);
	if (g->has_inode_flags || g->n_xattrs)
		file_extra_make(d, f)->ghost = g;
	return 0;
}

/* --- restore --- */

static bool has_already(const char *path, const FermataXattr *x)
{
	_cleanup_free_ void *value = malloc(x->value.len + 1);
	if (!value)
		return false;
	ssize_t n = lgetxattr(path, x->name, value, x->value.len + 1);
	return n == (ssize_t)x->value.len && !memcmp(value, x->value.data, x->value.len);
}

static bool is_kept(const FermataGhost *e, const char *name)
{
	for (size_t i = 0; i < e->n_xattrs; i++)
		if (strcmp(e->xattrs[i]->name, name) == 0)
			return true;
	return false;
}

/* A directory may have given it the ACL that new files get there. */
static int take_other_acls(const FermataGhost *e, const char *path)
{
	_cleanup_free_ char *names = NULL;
	ssize_t len = list_names(path, &names);
	for (const char *name = names; len > 0 && name < names + len; name += strlen(name) + 1)
		if (strncmp(name, acl_prefix, strlen(acl_prefix)) == 0 && !is_kept(e, name) &&
			removexattr(path, name) < 0)
			return -errno;
	return len < 0 ? (int)len : 0;
}

/* A descriptor that paths through /proc lead to the file by, and that flags are set by. */
static int open_to_change(struct file_set *f, const struct ghost *g)
{
	char path[FD_PATH_MAX];
	bool has_flags = S_ISREG(g->e->mode) || S_ISDIR(g->e->mode);
	int flags = (has_flags ? O_RDONLY : O_PATH) | O_CLOEXEC, anchor = g->names.v[0].anchor, fd;
	if (anchor < 0) {
		fd = openat(f->root_fd, path_relative(g->path), flags | O_NOFOLLOW);
	} else {
		fd_path(anchor, path);
		fd = open(path, flags);
	}
	return fd < 0 ? fail(f->s, errno, "open the removed file %s", g->name) : fd;
}

static int set_xattrs(struct file_set *f, const struct ghost *g, int fd)
{
	char path[FD_PATH_MAX];
	fd_path(fd, path);
	int r = take_other_acls(g->extra, path);
	if (r < 0)
		return fail(
			f->s, r, "take the ACL of its directory from the removed file %s", g->name);
	for (size_t i = 0; i < g->extra->n_xattrs; i++) {
		const FermataXattr *x = g->extra->xattrs[i];
		if (!has_already(path, x) &&
			setxattr(path, x->name, x->value.data, x->value.len, 0) < 0)
			return fail(f->s, errno, "give the removed file %s its attribute %s",
				g->name, x->name);
	}
	return 0;
}

static int set_flags(struct file_set *f, const struct ghost *g, int fd, int which)
{
	int now = 0;
	int want = (int)g->extra->inode_flags & which;
	if (ioctl(fd, FS_IOC_GETFLAGS, &now) < 0 && !want)
		return 0;
	int then = (now & ~which) | want;
	if (then != now && ioctl(fd, FS_IOC_SETFLAGS, &then) < 0)
		return fail(f->s, errno, "give the removed file %s its inode flags %x (chattr)",
			g->name, (unsigned)want);
	return 0;
}

int ghost_extras_begin(struct file_set *f, const struct ghost *g, int fd)
{
	bool any = fd >= 0 && g->extra && g->extra->inode_flags & OF_EMPTY_FILE;
	return any ? set_flags(f, g, fd, OF_EMPTY_FILE) : 0;
}

int ghost_extras_set(struct file_set *f, struct ghost *g)
{
	if (!g->extra)
		return 0;
	_cleanup_close_ int fd = open_to_change(f, g);
	if (fd < 0)
		return fd;
	int r = set_xattrs(f, g, fd);
	if (r >= 0 && (S_ISREG(g->e->mode) || S_ISDIR(g->e->mode)))
		g->flags_fd = take_fd(&fd);
	return r;
}

int ghost_extras_finish(struct file_set *f)
{
	int r = 0;
	vec_for_each (&f->ghost_list, g)
		if ((*g)->flags_fd >= 0 && r >= 0)
			r = set_flags(f, *g, (*g)->flags_fd, KEPT & ~OF_EMPTY_FILE);
	ghost_extras_release(f);
	return r;
}

void ghost_extras_release(struct file_set *f)
{
	vec_for_each (&f->ghost_list, g)
		if ((*g)->flags_fd >= 0)
			close(take_fd(&(*g)->flags_fd));
}
