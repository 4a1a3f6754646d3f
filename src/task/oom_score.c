/*
 * /proc/PID/oom_score_adj: how likely the out-of-memory killer picks a process.
 *
 * Written from outside by the controller.  Lowering it takes CAP_SYS_RESOURCE; the reference
 * ignores that failure, here it is a warning.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/explain.h"
#include "kernel/proc_misc.h"
#include "kernel/procfs.h"
#include "task/aspect.h"

extern const struct aspect oom_score_aspect;

enum { ADJ_MAX = 1000 };

static int oom_read(struct session *s, struct thread *t, void **state)
{
	(void)state;
	int adj = 0, r = 0;
	if (t->record)
		adj = (int16_t)t->record->oom_score_adj;
	else
		r = proc_oom_score_adj(s, t->task->pid, &adj);
	if (r < 0)
		return fail(s, r, "pid %d: read oom_score_adj", t->vtid);
	t->core->tc->has_oom_score_adj = true;
	t->core->tc->oom_score_adj = adj;
	return 0;
}

static int oom_check(struct session *s, struct thread *t)
{
	const TaskCoreEntry *tc = t->core->tc;
	if (tc->has_oom_score_adj && (tc->oom_score_adj < -ADJ_MAX || tc->oom_score_adj > ADJ_MAX))
		return fail(s, EBADMSG, "pid %d: oom_score_adj of %d", t->vtid, tc->oom_score_adj);
	return 0;
}

static int oom_finish(struct session *s, struct thread *t)
{
	const TaskCoreEntry *tc = t->core->tc;
	int now = 0;
	pid_t pid = s->opt->explain ? getpid() : t->task->pid; /* stubs have ours */
	if (!tc->has_oom_score_adj)
		return 0;
	int r = proc_oom_score_adj(s, pid, &now);
	if (r < 0)
		return fail(s, r, "pid %d: read oom_score_adj", t->vtid);
	if (now == tc->oom_score_adj ||
		explained(s, "write %d to /proc/%d/oom_score_adj", tc->oom_score_adj, t->vtid))
		return 0;
	_cleanup_close_ int fd = proc_open_pid(s, t->task->pid, "oom_score_adj", O_WRONLY);
	if (fd < 0 || dprintf(fd, "%d", tc->oom_score_adj) < 0)
		log_warn(s, "pid %d: oom_score_adj stays at %d instead of %d: %s", t->vtid, now,
			tc->oom_score_adj, strerror(fd < 0 ? -fd : errno));
	return 0;
}

const struct aspect oom_score_aspect = {
	.name = "oom_score_adj",
	.leader_only = true,
	.read = oom_read,
	.check = oom_check,
	.finish = oom_finish,
};
