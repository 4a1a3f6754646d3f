/*
 * Getting at an open file of a stopped task again.
 *
 * source_take() gives the open file itself, shared with the task: what is done to it is seen
 * there.  source_reopen() opens the same inode anew through its link in /proc/PID, whatever
 * became of its name.
 */
#include "file/dumping.h"

#include <errno.h>
#include <fcntl.h>

#include "kernel/procfs.h"
#include "kernel/syscalls.h"

int source_reopen(struct file_dump *d, const struct file_source *from, int flags)
{
	const char *link = from->link;
	if (!link)
		link = arena_printf(&d->s->arena, "fd/%d", from->number);
	/* A dump that fails leaves no trace, so not in the time of the last access either. */
	int traceless = flags & (O_ACCMODE | O_PATH) ? 0 : O_NOATIME;
	int fd = proc_open_pid(
		d->s, from->task->pid, link, flags | O_NONBLOCK | O_NOCTTY | traceless);
	if (fd == -EPERM && traceless) /* the file is somebody else's */
		fd = proc_open_pid(d->s, from->task->pid, link, flags | O_NONBLOCK | O_NOCTTY);
	return proc_gone(fd) ? fail(d->s, fd, "pid %d: open /proc/%d/%s", from->task->vpid,
				       from->task->pid, link)
			     : fd;
}

int source_take(struct file_dump *d, const struct file_source *from)
{
	_cleanup_close_ int pidfd = sys_pidfd_open(from->task->pid, 0);
	int fd = pidfd < 0 ? pidfd : sys_pidfd_getfd(pidfd, from->number);
	return fd < 0 ? fail(d->s, fd, "pid %d fd %d: get it", from->task->vpid, from->number) : fd;
}
