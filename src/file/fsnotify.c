/*
 * The files that inotify and fanotify watch: how the dump finds them. See fsnotify_restore.c.
 *
 * fdinfo tells inode, device and file handle of a marked inode.  A handle is opened on any mount of
 * the device and gives the path; where the filesystem cannot open its handles (overlayfs), known
 * paths are tried: files that the tree has open, its directories, and what is above them, until
 * one has the same handle; then it is looked for everywhere (fsnotify_scan.c).  A file without a name has no path in the image; then somebody in
 * the tree must have it open, and the restore finds it by device and inode of its ghost.
 *
 * Events that were not read yet are in the kernel only: reading takes them away, and nothing can
 * put them back (docs/architecture.md).  So they are refused, or inotify.c says that some were lost.
 * Everything here that opens files comes after all queues
 * were looked at.
 */
#include "file/fsnotify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kernel/mountinfo.h"
#include "kernel/syscalls.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200 /* Linux 6.5 */
#endif

int fsnotify_check_queue(
	struct file_dump *d, struct file_view *v, const char *what, const char *remedy)
{
	int bytes = 0;
	if (ioctl(v->fd, FIONREAD, &bytes) < 0)
		return fail(d->s, errno, "pid %d %s: ask for unread events", v->from.task->vpid,
			view_label(d, v));
	if (bytes && remedy)
		view_block(d, v, remedy,
			"%s with unread events (%d bytes), which nothing can put back", what,
			bytes);
	return bytes;
}

dev_t fsnotify_device(uint32_t sdev)
{
	return makedev(sdev >> 20, sdev & 0xfffff);
}

/* --- the kernel's handle --- */

union handle {
	struct file_handle head;
	char room[sizeof(struct file_handle) + FSNOTIFY_HANDLE_MAX];
};

static void unpack_handle(const FhEntry *e, union handle *h)
{
	h->head.handle_bytes = e->bytes;
	h->head.handle_type = (int)e->type;
	memcpy(h->head.f_handle, e->handle, e->bytes);
}

/*
 * A descriptor of a mount of the device that handles can be opened on, kept for the next; -1: none.
 * The kernel does not take one by O_PATH.
 */
static int open_mount(struct file_dump *d, const struct mountinfo *m)
{
	uint64_t id;
	_cleanup_close_ int fd =
		open(m->mountpoint, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || sys_mount_id(fd, "", AT_EMPTY_PATH, &id) < 0 || id != (uint64_t)m->id)
		return -1; /* a file, or hidden by another mount */
	*vec_push(&d->s->arena, &d->handle_mounts) = (struct handle_mount){m->id, fd};
	return take_fd(&fd);
}

static int mount_fd(struct file_dump *d, const struct mountinfo *m)
{
	vec_for_each (&d->handle_mounts, known)
		if (known->mnt_id == m->id)
			return known->fd;
	return open_mount(d, m);
}

static bool same_file(int fd, const char *path)
{
	struct stat a, b;
	_cleanup_close_ int other = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return other >= 0 && fstat(fd, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

enum found { NOWHERE, NAMELESS, FOUND };

/* By the handle on one mount. */
static enum found look_on_mount(
	struct file_dump *d, const struct marked *k, const struct mountinfo *m, bool *ret_linked)
{
	union handle h;
	struct stat st;
	unpack_handle(k->handle, &h);
	int mount = mount_fd(d, m);
	_cleanup_close_ int fd =
		mount < 0 ? -1 : open_by_handle_at(mount, &h.head, O_PATH | O_CLOEXEC);
	char self[32], path[PATH_MAX];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	ssize_t n = fd < 0 ? -1 : readlink(self, path, sizeof(path));
	if (n < 0 || (size_t)n == sizeof(path) || fstat(fd, &st) < 0 || st.st_ino != k->ino)
		return NOWHERE;
	path[n] = '\0';
	*ret_linked = st.st_nlink > 0;
	if (path[0] != '/' || !same_file(fd, path))
		return NAMELESS;
	k->handle->path = arena_strdup(&d->s->arena, path);
	return FOUND;
}

static enum found look_by_handle(struct file_dump *d, const struct marked *k, bool *ret_linked)
{
	enum found best = NOWHERE;
	for (size_t i = 0; i < d->mount_list.n && best != FOUND && k->handle->bytes; i++) {
		const struct mountinfo *m = &d->mount_list.v[i];
		if (m->dev != fsnotify_device(k->sdev))
			continue;
		enum found found = look_on_mount(d, k, m, ret_linked);
		best = found > best ? found : best;
	}
	return best;
}

/* --- known paths --- */

bool fsnotify_handle_of(const char *path, int kind, struct fsnotify_handle *ret)
{
	static const int flags[FSNOTIFY_HANDLES] = {AT_HANDLE_FID, 0};
	union handle h;
	int mount_id;
	h.head.handle_bytes = FSNOTIFY_HANDLE_MAX;
	if (name_to_handle_at(AT_FDCWD, path, &h.head, &mount_id, flags[kind]) < 0)
		return false;
	*ret = (struct fsnotify_handle){h.head.handle_bytes, h.head.handle_type, ""};
	memcpy(ret->data, h.head.f_handle, h.head.handle_bytes);
	return true;
}

bool fsnotify_is_handle(const struct fsnotify_handle *h, const FhEntry *e)
{
	return h->bytes == e->bytes && h->type == (int)e->type &&
	       memcmp(h->data, e->handle, e->bytes) == 0;
}

static bool has_handle(const char *path, const FhEntry *e)
{
	struct fsnotify_handle h;
	for (int kind = 0; kind < FSNOTIFY_HANDLES; kind++)
		if (fsnotify_handle_of(path, kind, &h) && fsnotify_is_handle(&h, e))
			return true;
	return false;
}

/* A file that is open, or a directory above one. */
static bool look_around(struct file_dump *d, const struct marked *k)
{
	if (!k->handle->bytes)
		return false;
	vec_for_each (&d->files, f) {
		if ((*f)->kind != FD_TYPES__REG && (*f)->kind != FD_TYPES__FIFO)
			continue;
		char *path = arena_strdup(&d->s->arena, (*f)->link);
		for (char *slash; *path == '/'; *slash = '\0') {
			if (has_handle(path, k->handle)) {
				k->handle->path = path;
				return true;
			}
			slash = strrchr(path, '/');
			if (slash == path) /* "/" itself is among the directories of tasks */
				break;
		}
	}
	return false;
}

/* --- when all is known --- */

static bool is_open_ghost(struct file_dump *d, const struct marked *k)
{
	struct inode_info *inode = file_inode(d, fsnotify_device(k->sdev), k->ino);
	vec_for_each (&inode->files, f)
		if (inode->ghost && (*f)->from.task && (*f)->from.number >= 0)
			return true;
	return false;
}

/* Of all that were not found otherwise. */
static int find_by_scan(struct file_dump *d, void *object)
{
	const marked_vec *unfound = object;
	fsnotify_scan(d, unfound);
	vec_for_each (unfound, it) {
		const struct marked *k = *it;
		if (!k->handle->path)
			block(d->s, k->f->from.task->vpid,
				"name a directory above it by --irmap-scan-path",
				"fd %d: %s on inode %ju of device %u:%u, whose path cannot be found",
				k->f->from.number, k->what, (uintmax_t)k->ino, k->sdev >> 20,
				k->sdev & 0xfffff);
	}
	return 0;
}

static void put_off(struct file_dump *d, const struct marked *k)
{
	if (!d->unfound_marks) {
		d->unfound_marks = arena_new(&d->s->arena, marked_vec);
		file_dump_when_all(d, find_by_scan, d->unfound_marks);
	}
	*vec_push(&d->s->arena, (marked_vec *)d->unfound_marks) = k;
}

static int find_path(struct file_dump *d, void *object)
{
	const struct marked *k = object;
	bool linked = false;
	int r = mounts_read(d);
	if (r < 0)
		return r;
	enum found found = look_by_handle(d, k, &linked);
	if (found == FOUND || (found == NAMELESS && linked) || is_open_ghost(d, k))
		return 0;
	if (found == NAMELESS)
		block(d->s, k->f->from.task->vpid, NULL,
			"fd %d: %s on a removed file (inode %ju of device %u:%u) that no "
			"descriptor of the tree has open",
			k->f->from.number, k->what, (uintmax_t)k->ino, k->sdev >> 20,
			k->sdev & 0xfffff);
	else if (!look_around(d, k))
		put_off(d, k);
	return 0;
}

FhEntry *fsnotify_collect_mark(
	struct file_dump *d, struct dumped_file *f, const char *what, const struct fdinfo_mark *m)
{
	FhEntry *e = arena_new(&d->s->arena, FhEntry);
	struct marked *k = arena_new(&d->s->arena, struct marked);
	fh_entry__init(e);
	e->bytes = (uint32_t)m->handle_bytes;
	e->type = (uint32_t)m->handle_type;
	e->n_handle = FSNOTIFY_HANDLE_MAX / sizeof(*e->handle);
	e->handle = arena_array(&d->s->arena, uint64_t, e->n_handle);
	memcpy(e->handle, m->handle, sizeof(m->handle));
	*k = (struct marked){
		.f = f, .what = what, .ino = m->ino, .sdev = (uint32_t)m->sdev, .handle = e};
	file_dump_when_all(d, find_path, k);
	return e;
}

int fsnotify_mount_path(struct file_dump *d, uint64_t mnt_id, char **ret_path, uint32_t *ret_sdev)
{
	uint64_t id;
	int r = mounts_read(d);
	const struct mountinfo *m = r < 0 ? NULL : id_map_get(&d->mounts, mnt_id);
	if (r < 0)
		return r;
	if (!m || sys_mount_id(AT_FDCWD, m->mountpoint, AT_SYMLINK_NOFOLLOW, &id) < 0 ||
		id != mnt_id)
		return -ENOENT;
	*ret_path = (char *)(uintptr_t)m->mountpoint;
	*ret_sdev = major(m->dev) << 20 | minor(m->dev);
	return 0;
}
