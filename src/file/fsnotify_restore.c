/*
 * The files that inotify and fanotify watch: how the restore gets at them. See fsnotify.c.
 *
 * In this order: the ghost of a file without a name, by device and inode of the dump; the path;
 * the handle, on a mount of the device.  A mark on a ghost lives only as long as the name by
 * which the ghost is open, even if that is removed: it is set on the tree's own open file, when
 * the ghost's other name is gone, and all open files of that ghost share one name (ghost.watched).
 */
#include "file/fsnotify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/ghost.h"
#include "kernel/mountinfo.h"

/* Some descriptor of the tree that has the ghost open. */
static struct open_file *ghost_file(const struct file_set *f, uint64_t ino, uint32_t sdev)
{
	const struct ghost *ghost = ghost_of_inode(f, sdev, ino);
	if (ghost)
		vec_for_each (&f->all, o)
			if ((*o)->remap && (*o)->remap->ghost == ghost &&
				((*o)->uses_left || (*o)->holder))
				return *o;
	return NULL;
}

static int open_handle(struct file_set *f, uint32_t sdev, const FhEntry *e)
{
	mountinfo_vec mounts = {0};
	union {
		struct file_handle head;
		char room[sizeof(struct file_handle) + FSNOTIFY_HANDLE_MAX];
	} h;
	int r = mountinfo_read(f->s, getpid(), &mounts);
	if (r < 0)
		return r;
	h.head.handle_bytes = e->bytes;
	h.head.handle_type = (int)e->type;
	memcpy(h.head.f_handle, e->handle, e->bytes);
	int fd = -1;
	for (size_t i = 0; i < mounts.n && fd < 0; i++) {
		const struct mountinfo *m = &mounts.v[i];
		if (m->dev != makedev(sdev >> 20, sdev & 0xfffff))
			continue;
		_cleanup_close_ int mount =
			open(m->mountpoint, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (mount >= 0)
			fd = open_by_handle_at(mount, &h.head, O_PATH | O_CLOEXEC);
	}
	return fd < 0 ? -ENOENT : fd;
}

int fsnotify_check_mark(struct file_set *f, const struct open_file *o, uint64_t ino, uint32_t sdev,
	const FhEntry *h)
{
	struct stat st;
	struct open_file *ghost = ghost_file(f, ino, sdev);
	if (h->bytes > FSNOTIFY_HANDLE_MAX || h->n_handle * sizeof(*h->handle) < h->bytes)
		return fail(f->s, EBADMSG, "%s: the file handle in its image is not sane",
			open_file_label(f, o));
	if (ghost) {
		ghost_will_be_watched(ghost->remap->ghost);
		return 0;
	}
	if (f->s->images_only)
		return 0;
	int r = h->path ? path_stat(f, h->path, AT_SYMLINK_NOFOLLOW, &st) : 0;
	if (r < 0)
		return fail(f->s, r, "%s: look for %s, which it watches", open_file_label(f, o),
			h->path);
	if (h->path)
		return 0;
	_cleanup_close_ int fd = open_handle(f, sdev, h);
	return fd < 0 ? fail(f->s, fd, "%s: find inode %ju, which it watches, by its handle",
				open_file_label(f, o), (uintmax_t)ino)
		      : 0;
}

int fsnotify_open_mark(struct file_set *f, const struct open_file *o, uint64_t ino, uint32_t sdev,
	const FhEntry *h, int *ret_fd)
{
	struct open_file *ghost = ghost_file(f, ino, sdev);
	int fd, r = 0;
	if (ghost) {
		r = file_get(f, ghost, &fd);
		if (r < 0)
			return r;
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		file_drop(f, ghost);
	} else if (h->path) {
		fd = path_open(f, h->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	} else {
		fd = open_handle(f, sdev, h);
	}
	if (fd < 0)
		return fail(f->s, fd, "%s: open inode %ju, which it watches", open_file_label(f, o),
			(uintmax_t)ino);
	*ret_fd = fd;
	return 0;
}

/* fanotify opens the file of each event for whoever reads it. */
static void close_event_files(const char *events, ssize_t n)
{
	const struct fanotify_event_metadata *e = (const void *)events;
	for (; FAN_EVENT_OK(e, n); e = FAN_EVENT_NEXT(e, n))
		if (e->fd >= 0)
			close(e->fd);
}

void fsnotify_drain(struct file_set *f, struct open_file *o, int fd)
{
	char events[65536] __attribute__((aligned(8)));
	int bytes;
	while (ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0) {
		ssize_t n = read(fd, events, sizeof(events));
		if (n <= 0)
			break;
		if (o->e->type == FD_TYPES__FANOTIFY)
			close_event_files(events, n);
	}
	(void)f;
}
