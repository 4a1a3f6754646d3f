/*
 * Names of unix sockets (unix(7)): paths, abstract ones, none; and the socket's file.
 *
 * The kernel keeps the bytes that bind() was given and, of a path, the file it made; the file may
 * since have been removed, renamed or chmod()ed, and a relative path does not say of which
 * directory.  SIOCUNIXFILE opens the file itself, from which all of that follows.
 *
 * At restore the file has to be made again by bind() with the very same bytes: in the directory
 * that a relative path begins at, or, if the file is not where its name says, in a private root
 * directory, from where it is moved to its place or removed.  Peers connect through
 * /proc/self/fd, whatever became of the name.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "socket/unix.h"

#ifndef SIOCUNIXFILE /* linux/un.h, which <sys/un.h> collides with */
#define SIOCUNIXFILE 0x89e0
#endif

enum { PATH_ROOM = sizeof(((struct sockaddr_un *)NULL)->sun_path) };

/* --- dump --- */

/* DIR such that DIR/name is path; NULL if path does not end so. */
static const char *strip_name(struct arena *a, const char *path, const char *name)
{
	while (strncmp(name, "./", 2) == 0)
		name += 2;
	size_t len = strlen(path), tail = strlen(name);
	if (len <= tail || path[len - tail - 1] != '/' || strcmp(path + len - tail, name) != 0)
		return NULL;
	char *dir = arena_strdup(a, path);
	dir[len - tail - (len - tail > 1)] = '\0';
	return dir;
}

static bool leads_to(const char *path, const struct statx *file)
{
	struct statx st;
	return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_INO, &st) == 0 &&
	       st.stx_ino == file->stx_ino && st.stx_dev_major == file->stx_dev_major &&
	       st.stx_dev_minor == file->stx_dev_minor;
}

/* The directory that a relative name began at: the text tells, or the task is still there. */
static const char *find_directory(struct file_dump *d, const struct unix_dumped *u,
	const char *path, const char *name, const struct statx *file)
{
	struct arena *a = &d->s->arena;
	const char *dir = strip_name(a, path, name);
	if (dir)
		return dir;
	char cwd[PATH_MAX];
	const char *link = arena_printf(a, "/proc/%d/cwd", u->from.task->pid);
	ssize_t n = readlink(link, cwd, sizeof(cwd) - 1);
	cwd[n < 0 ? 0 : n] = '\0';
	return n > 0 && leads_to(arena_printf(a, "%s/%s", cwd, name), file) ? arena_strdup(a, cwd)
									    : NULL;
}

/* The file is not where the name says: renamed, or seen from another root directory. */
static void keep_file(struct file_dump *d, struct unix_dumped *u, const char *path)
{
	u->e->has_deleted = u->e->deleted = true;
	unix_extra_make(d, u->f)->file = (char *)(uintptr_t)path;
}

static int dump_path(struct file_dump *d, struct unix_dumped *u, const char *name, const char *link,
	const struct statx *st)
{
	static const char gone[] = " (deleted)";
	struct arena *a = &d->s->arena;
	UnixSkEntry *e = u->e;
	size_t len = strlen(link), tail = sizeof(gone) - 1;
	bool deleted = !leads_to(link, st);
	const char *path = link, *dir = NULL;
	if (deleted && len > tail && strcmp(link + len - tail, gone) == 0) {
		char *text = arena_strdup(a, link);
		text[len - tail] = '\0';
		path = text;
	}
	if (name[0] != '/')
		dir = find_directory(d, u, path, name, st);
	e->has_deleted = e->deleted = deleted;
	if (name[0] != '/' && !dir && !deleted) /* any directory does: it is moved afterwards */
		dir = "/";
	e->name_dir = (char *)(uintptr_t)(name[0] != '/' && !dir ? "/" : dir);
	const char *full = dir ? arena_printf(a, "%s/%s", dir, name) : name;
	if (!deleted && !leads_to(full, st))
		keep_file(d, u, link);
	return 0;
}

/* Accepted sockets have the listener's name, which is not bound again for them. */
static bool is_bound(const struct unix_dumped *u)
{
	return u->info->type == SOCK_DGRAM || u->info->state != UNIX_ESTABLISHED;
}

int unix_name_dump(struct file_dump *d, const struct file_view *v, struct unix_dumped *u)
{
	const struct unix_info *info = u->info;
	UnixSkEntry *e = u->e;
	size_t len = info->name_len;
	if (len > PATH_ROOM) /* a path of full length, whose NUL stands behind the room for it */
		len = PATH_ROOM;
	e->name.len = len;
	e->name.data = (uint8_t *)(uintptr_t)info->name;
	if (!len || !info->name[0])
		return 0;
	_cleanup_close_ int file = ioctl(v->fd, SIOCUNIXFILE);
	if (file < 0)
		return fail(d->s, errno, "pid %d %s: open the file of the unix socket %s",
			v->from.task->vpid, view_label(d, v),
			unix_name_text(&d->s->arena, info->name, info->name_len));
	struct statx st;
	char number[16], link[PATH_MAX + 1];
	snprintf(number, sizeof(number), "%d", file);
	ssize_t n = readlinkat(d->proc_self_fd, number, link, sizeof(link) - 1);
	unsigned want = STATX_BASIC_STATS;
	if (n < 0 || statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, want, &st) < 0)
		return fail(d->s, errno, "pid %d %s: examine the file of the unix socket",
			v->from.task->vpid, view_label(d, v));
	link[n] = '\0';
	if (is_bound(u) && st.stx_nlink > 1)
		unix_block(d, u, "remove the other hard links of its file",
			"has a file with several names");
	e->file_perms = arena_new(&d->s->arena, FilePermsEntry);
	file_perms_entry__init(e->file_perms);
	e->file_perms->mode = st.stx_mode;
	e->file_perms->uid = st.stx_uid;
	e->file_perms->gid = st.stx_gid;
	char *name = arena_alloc(&d->s->arena, PATH_ROOM + 1);
	memcpy(name, info->name, len);
	return dump_path(d, u, name, arena_strdup(&d->s->arena, link), &st);
}

/* --- restore --- */

bool unix_same_name(const UnixSkEntry *a, const UnixSkEntry *b)
{
	return a->type == b->type && a->name.len == b->name.len && a->name.len &&
	       memcmp(a->name.data, b->name.data, a->name.len) == 0;
}

static const char *name_text(struct file_set *f, const UnixSkEntry *e)
{
	return unix_name_text(&f->s->arena, e->name.data, e->name.len);
}

static socklen_t address(const UnixSkEntry *e, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret->sun_path, e->name.data, e->name.len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + e->name.len);
}

static bool is_path(const UnixSkEntry *e)
{
	return e->name.len && e->name.data[0];
}

static char *path_of(struct file_set *f, const UnixSkEntry *e)
{
	char *name = arena_alloc(&f->s->arena, e->name.len + 1);
	memcpy(name, e->name.data, e->name.len);
	return name;
}

static bool is_elsewhere(const UnixSkEntry *e)
{
	return e->has_deleted && e->deleted;
}

/*
 * Does a living socket have this file? A connection of the rarest type asks without disturbing
 * anyone: of another type it is EPROTOTYPE, for a file that is left over ECONNREFUSED.
 */
bool unix_path_has_owner(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	_cleanup_close_ int file = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || file < 0)
		return false;
	snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", file);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EPROTOTYPE;
}

static int check_path(struct file_set *f, struct unix_sock *u)
{
	const UnixSkEntry *e = u->e;
	const char *label = open_file_label(f, u->o), *path = path_of(f, e);
	struct stat st;
	if (path[0] != '/' && !e->name_dir)
		return fail(f->s, EBADMSG, "%s: the unix socket %s has no directory in its image",
			label, name_text(f, e));
	if (path[0] != '/')
		path = arena_printf(&f->s->arena, "%s/%s", e->name_dir, path);
	if (is_elsewhere(e))
		path = u->x ? u->x->file : NULL;
	if (!path)
		return 0;
	if (is_elsewhere(e) && path[0] != '/')
		return fail(f->s, EBADMSG, "%s: the file of its unix socket, %s, is no full path",
			label, path);
	if (f->s->images_only)
		return 0;
	int r = path_stat(f, path, AT_SYMLINK_NOFOLLOW, &st);
	if (r == 0 && !S_ISSOCK(st.st_mode))
		return fail(f->s, EEXIST, "%s: %s, which its unix socket had, is another file now",
			label, path);
	if (r == 0 && unix_path_has_owner(path))
		return fail_remedy(f->s, EADDRINUSE, "end that process",
			"%s: the unix socket %s belongs to another process", label, path);
	if (r == 0)
		return 0;
	char *dir = arena_strdup(&f->s->arena, path);
	*strrchr(dir, '/') = '\0';
	r = path_stat(f, *dir ? dir : "/", 0, &st);
	return r < 0 ? fail(f->s, r, "%s: %s, the directory of its unix socket", label, dir) : 0;
}

int unix_name_check(struct file_set *f, struct unix_sock *u)
{
	const UnixSkEntry *e = u->e;
	if (e->name.len > PATH_ROOM)
		return fail(f->s, EBADMSG, "%s: the name of the unix socket is too long",
			open_file_label(f, u->o));
	if (!e->name.len)
		return 0;
	if (is_path(e))
		return check_path(f, u);
	if (f->unix_socks->taken &&
		unix_table_bound(f->unix_socks->taken, e->type, e->name.data, e->name.len))
		return fail_remedy(f->s, EADDRINUSE, "end that process",
			"%s: the name %s of its unix socket is taken by another process",
			open_file_label(f, u->o), name_text(f, e));
	return 0;
}

/* Bound as an image says, in the current directory. */
static int bind_here(int fd, const UnixSkEntry *e)
{
	struct sockaddr_un to;
	socklen_t len = address(e, &to);
	return bind(fd, (struct sockaddr *)&to, len) < 0 ? -errno : 0;
}

/* The directories above path, made or removed again, from the current one. */
static void each_parent(char *path, bool make)
{
	char *slash = make ? strchr(path + 1, '/') : strrchr(path, '/');
	while (slash && slash != path) {
		*slash = '\0';
		if (make)
			mkdir(path, 0700);
		else
			rmdir(path);
		if (make)
			*slash = '/';
		slash = make ? strchr(slash + 1, '/') : strrchr(path, '/');
	}
}

/* Moved to where it was, by its path in our view. */
static int move_file(struct file_set *f, const struct unix_sock *u, int fd)
{
	char link[32], path[PATH_MAX + 1];
	_cleanup_close_ int file = ioctl(fd, SIOCUNIXFILE);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	ssize_t n = file < 0 ? -1 : readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (n < 0 || renameat(AT_FDCWD, path, f->root_fd, path_relative(u->x->file)) < 0)
		return fail(f->s, errno, "%s: move the file of the unix socket to %s",
			open_file_label(f, u->o), u->x->file);
	return 0;
}

/* A directory to be root for a moment: next to where the file goes, or anywhere. */
static int make_root(struct file_set *f, const struct unix_sock *u, char **ret_path)
{
	static const char *const anywhere[] = {"/dev/shm", "/run", "/tmp"};
	const char *file = u->x ? u->x->file : NULL;
	for (size_t i = 0; i < sizeof(anywhere) / sizeof(*anywhere); i++) {
		int len = file ? (int)(strrchr(file, '/') - file) : (int)strlen(anywhere[i]);
		*ret_path = arena_printf(
			&f->s->arena, "%.*s/.fermata-XXXXXX", len, file ? file : anywhere[i]);
		if (mkdtemp(*ret_path))
			return open(*ret_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return -1;
}

static int change_root(int root, int cwd)
{
	if (fchdir(root) < 0 || chroot(".") < 0 || fchdir(cwd) < 0)
		return -errno;
	return 0;
}

static int bind_in_root(const struct unix_sock *u, int fd, char *path)
{
	each_parent(path, /* make= */ true);
	int r = bind_here(fd, u->e);
	if (r >= 0 && !(u->x && u->x->file) && unlink(path) < 0)
		r = -errno;
	return r;
}

/* The file is gone, or elsewhere: made in a private root directory, from there moved or removed. */
static int bind_elsewhere(struct file_set *f, const struct unix_sock *u, int fd)
{
	char *root_path, *path = path_of(f, u->e);
	_cleanup_close_ int root = make_root(f, u, &root_path);
	_cleanup_close_ int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || cwd < 0)
		return -errno;
	int r = change_root(root, root);
	if (r >= 0)
		r = bind_in_root(u, fd, path);
	int back = change_root(f->root_fd, cwd);
	if (r >= 0 && back >= 0 && u->x && u->x->file)
		r = move_file(f, u, fd);
	if (back >= 0 && change_root(root, root) >= 0)
		each_parent(path, /* make= */ false);
	if (back >= 0)
		back = change_root(f->root_fd, cwd);
	rmdir(root_path);
	return r < 0 ? r : back;
}

static int bind_at_path(struct file_set *f, const UnixSkEntry *e, int fd)
{
	const char *path = path_of(f, e), *dir = path[0] == '/' ? "/" : e->name_dir;
	_cleanup_close_ int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int at = path_open(f, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cwd < 0 || at < 0)
		return cwd < 0 ? -errno : at;
	if (fchdir(at) < 0)
		return -errno;
	struct stat st; /* left over from the tree; check_path() found no other owner */
	bool was_there = fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (was_there && S_ISSOCK(st.st_mode))
		unlinkat(at, path, 0);
	int r = bind_here(fd, e);
	if (r >= 0 && !was_there)
		*vec_push(&f->s->arena, &f->unix_socks->new_files) =
			arena_printf(&f->s->arena, "%s/%s", path[0] == '/' ? "" : dir, path);
	return fchdir(cwd) < 0 ? -errno : r;
}

static int set_perms(struct file_set *f, const struct unix_sock *u, int fd)
{
	const FilePermsEntry *perms = u->e->file_perms;
	char link[32];
	if (!perms)
		return 0;
	_cleanup_close_ int file = ioctl(fd, SIOCUNIXFILE);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	/* chown() clears set-user-ID bits: the mode last */
	if (file < 0 || fchownat(file, "", perms->uid, perms->gid, AT_EMPTY_PATH) < 0 ||
		chmod(link, perms->mode & 07777) < 0)
		return fail(f->s, errno, "%s: set mode and owner of the file of its unix socket",
			open_file_label(f, u->o));
	return 0;
}

int unix_name_bind_quietly(struct file_set *f, const struct unix_sock *u, int fd)
{
	const UnixSkEntry *e = u->e;
	mode_t umask_before = umask(0177);
	int r = !is_path(e)	  ? bind_here(fd, e)
		: is_elsewhere(e) ? bind_elsewhere(f, u, fd)
				  : bind_at_path(f, e, fd);
	umask(umask_before);
	return r;
}

int unix_name_bind(struct file_set *f, const struct unix_sock *u, int fd)
{
	const UnixSkEntry *e = u->e;
	if (!e->name.len)
		return 0;
	int r = unix_name_bind_quietly(f, u, fd);
	if (r < 0)
		return fail(f->s, r, "%s: bind its unix socket to %s", open_file_label(f, u->o),
			name_text(f, e));
	return is_path(e) ? set_perms(f, u, fd) : 0;
}

void unix_undo(struct file_set *f)
{
	for (size_t i = 0; f->unix_socks && i < f->unix_socks->new_files.n; i++)
		unlinkat(f->root_fd, path_relative(f->unix_socks->new_files.v[i]), 0);
}

int unix_address_of(int fd, struct sockaddr_un *ret, socklen_t *ret_len, int *ret_file)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	*ret_len = sizeof(*ret);
	*ret_file = ioctl(fd, SIOCUNIXFILE);
	if (*ret_file < 0)
		return getsockname(fd, (struct sockaddr *)ret, ret_len) < 0 ? -errno : 0;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d", *ret_file);
	return 0;
}
