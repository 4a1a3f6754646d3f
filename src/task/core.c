/*
 * The frame of a core image: the messages that the other aspects fill, and the fields that belong
 * to none of them.
 *
 * First of all aspects: inspect makes t->core, so everyone after it may write there.  Only the
 * leader's core has tc; its presence in another thread's core marks a damaged image.  The state of
 * the task is written by the pipeline, which is the last to know it.
 */
#include "task/core.h"

#include <errno.h>

#include "task/aspect.h"

extern const struct aspect core_aspect;

enum { SIGNAL_MAX = 64 };

MmEntry *core_mm(struct session *s, struct task *t)
{
	if (!t->mm) {
		t->mm = arena_new(&s->arena, MmEntry);
		mm_entry__init(t->mm);
	}
	return t->mm;
}

static TaskCoreEntry *new_tc(struct session *s, const struct task *t)
{
	TaskCoreEntry *tc = arena_new(&s->arena, TaskCoreEntry);
	task_core_entry__init(tc);
	tc->comm = arena_strdup(&s->arena, t->stat.comm);
	tc->flags = t->stat.flags;
	tc->timers = arena_new(&s->arena, TaskTimersEntry);
	task_timers_entry__init(tc->timers);
	return tc;
}

static int core_read(struct session *s, struct thread *t, void **state)
{
	(void)state;
	t->core = arena_new(&s->arena, CoreEntry);
	core_entry__init(t->core);
	t->core->mtype = (CoreEntry__March)arch_core_mtype();
	t->core->thread_core = arena_new(&s->arena, ThreadCoreEntry);
	thread_core_entry__init(t->core->thread_core);
	if (t == leader(t->task))
		t->core->tc = new_tc(s, t->task);
	return 0;
}

static int core_check(struct session *s, struct thread *t)
{
	bool is_leader = t == leader(t->task);
	if (t->core->mtype != arch_core_mtype())
		return fail(s, EOPNOTSUPP,
			"pid %d: the image is of another machine type (%d, here %u)", t->vtid,
			(int)t->core->mtype, arch_core_mtype());
	if (is_leader && !t->core->tc)
		return fail(s, EBADMSG, "pid %d: the core image lacks the part of the process",
			t->vtid);
	if (!is_leader && (t->core->tc || t->core->ids))
		return fail(s, EBADMSG,
			"pid %d thread %d: the core image of a thread has the part of a process",
			t->task->vpid, t->vtid);
	if (task_lives(t->task) && !t->core->thread_core)
		return fail(s, EBADMSG,
			"pid %d thread %d: the core image lacks the part of the thread",
			t->task->vpid, t->vtid);
	if (is_leader && t->core->tc->has_stop_signo && t->core->tc->stop_signo > SIGNAL_MAX)
		return fail(s, EBADMSG, "pid %d: no such stop signal: %u", t->vtid,
			t->core->tc->stop_signo);
	return 0;
}

const struct aspect core_aspect = {
	.name = "core image",
	.read = core_read,
	.check = core_check,
};
