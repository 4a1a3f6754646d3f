/*
 * /proc/PID/coredump_filter: which memory a core dump of the process has (core(5)).
 *
 * A property of the address space, inherited by fork; kept in our own image.  Written from outside
 * by the controller.
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

extern const struct aspect coredump_filter_aspect;

enum { FILTER_DEFAULT = 0x33 }; /* MMF_DUMP_FILTER_DEFAULT, with ELF headers */

static int filter_read(struct session *s, struct thread *t, void **state)
{
	(void)state;
	uint32_t filter = FILTER_DEFAULT;
	if (proc_coredump_filter(s, t->task->pid, &filter) >= 0 && filter != FILTER_DEFAULT) {
		extras_make(s, t)->has_coredump_filter = true;
		t->extras->coredump_filter = filter;
	}
	return 0;
}

static int filter_finish(struct session *s, struct thread *t)
{
	uint32_t want = extra_or(t, coredump_filter, FILTER_DEFAULT), now;
	pid_t pid = s->opt->explain ? getpid() : t->task->pid; /* stubs have ours */
	if (proc_coredump_filter(s, pid, &now) < 0 || now == want ||
		explained(s, "write 0x%x to /proc/%d/coredump_filter", want, t->vtid))
		return 0;
	_cleanup_close_ int fd = proc_open_pid(s, t->task->pid, "coredump_filter", O_WRONLY);
	if (fd < 0 || dprintf(fd, "0x%x", want) < 0)
		log_warn(s, "pid %d: coredump_filter stays at 0x%x instead of 0x%x: %s", t->vtid,
			now, want, strerror(fd < 0 ? -fd : errno));
	return 0;
}

const struct aspect coredump_filter_aspect = {
	.name = "coredump_filter",
	.leader_only = true,
	.read = filter_read,
	.finish = filter_finish,
};
