/*
 * /proc/PID/autogroup: the nice value of a whole session (sched(7), CONFIG_SCHED_AUTOGROUP).
 *
 * setsid(2) makes a group with 0; it is read and written by the controller, for leaders of
 * sessions only, and kept in our own image.  Sessions whose leader is not in the tree are others'.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/explain.h"
#include "kernel/proc_misc.h"
#include "kernel/procfs.h"
#include "task/aspect.h"
#include "task/extras.h"

extern const struct aspect autogroup_aspect;

static int autogroup_read(struct session *s, struct thread *t, void **state)
{
	(void)state;
	int nice = 0;
	if (t->task->sid != t->task->vpid || proc_autogroup_nice(s, t->task->pid, &nice) < 0 ||
		!nice)
		return 0;
	extras_make(s, t)->has_autogroup_nice = true;
	t->extras->autogroup_nice = nice;
	return 0;
}

static int autogroup_finish(struct session *s, struct thread *t)
{
	if (!t->extras || !t->extras->has_autogroup_nice ||
		explained(s, "write %d to /proc/%d/autogroup", t->extras->autogroup_nice, t->vtid))
		return 0;
	_cleanup_close_ int fd = proc_open_pid(s, t->task->pid, "autogroup", O_WRONLY);
	if (fd < 0 || dprintf(fd, "%d", t->extras->autogroup_nice) < 0)
		log_warn(s, "pid %d: the autogroup of its session has not its nice value %d: %s",
			t->vtid, t->extras->autogroup_nice, strerror(fd < 0 ? -fd : errno));
	return 0;
}

const struct aspect autogroup_aspect = {
	.name = "autogroup",
	.leader_only = true,
	.read = autogroup_read,
	.finish = autogroup_finish,
};
