/*
 * Scheduling of a thread: policy, realtime priority, nice value.
 *
 * Read from outside.  The policy carries SCHED_RESET_ON_FORK as sched_getscheduler(2) shows it.
 * Set in any case: stubs start with what the controller happens to run with.  Hints are
 * in sched_hints.c, affinity in affinity.c.
 */
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/sched_attr.h"

extern const struct aspect sched_aspect;

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
#ifndef SCHED_EXT
#define SCHED_EXT 7
#endif
#ifndef SCHED_RESET_ON_FORK
#define SCHED_RESET_ON_FORK 0x40000000
#endif

enum {
	RT_PRIO_MAX = 99,
	NICE_BASE = 20, /* the raw getpriority() returns 20 - nice, to stay positive */
};

static bool is_realtime(uint32_t policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* A realtime thread has one, too, for the day that it is none any more. */
static bool read_nice(pid_t tid, const struct sched_attributes *attr, int *ret)
{
	*ret = attr->nice;
	if (!is_realtime(attr->policy))
		return true;
	long priority = syscall(SYS_getpriority, PRIO_PROCESS, tid);
	*ret = NICE_BASE - (int)priority;
	return priority >= 0;
}

static int sched_read(struct session *s, struct thread *t, void **state)
{
	(void)state;
	struct sched_attributes attr;
	int nice = 0;
	if (!sched_attributes_read(t->tid, &attr) || !read_nice(t->tid, &attr, &nice))
		return fail(
			s, errno, "pid %d thread %d: read its scheduling", t->task->vpid, t->vtid);
	ThreadCoreEntry *core = t->core->thread_core;
	const uint32_t kind = attr.policy;
	if (kind == SCHED_DEADLINE || kind == SCHED_EXT)
		block(s, t->task->vpid, "give it another policy for the dump (chrt -o -p 0 TID)",
			"thread %d: its scheduling policy is %s, which the image format cannot "
			"hold",
			t->vtid, kind == SCHED_EXT ? "SCHED_EXT" : "SCHED_DEADLINE");
	core->has_sched_policy = core->has_sched_nice = true;
	core->sched_policy = kind;
	if (attr.flags & SCHED_ATTR_RESET_ON_FORK)
		core->sched_policy |= SCHED_RESET_ON_FORK;
	core->sched_nice = nice;
	if (is_realtime(kind)) {
		core->has_sched_prio = true;
		core->sched_prio = attr.priority;
	}
	return 0;
}

static int sched_check(struct session *s, struct thread *t)
{
	const ThreadCoreEntry *core = t->core->thread_core;
	uint32_t kind = core->sched_policy & ~(uint32_t)SCHED_RESET_ON_FORK;
	if (core->sched_nice < -20 || core->sched_nice > 19)
		return fail(s, EBADMSG, "pid %d thread %d: nice value %d", t->task->vpid, t->vtid,
			core->sched_nice);
	if (is_realtime(kind) && (core->sched_prio < 1 || core->sched_prio > RT_PRIO_MAX))
		return fail(s, EBADMSG, "pid %d thread %d: realtime priority %u", t->task->vpid,
			t->vtid, core->sched_prio);
	if (is_realtime(kind))
		return 0;
	if (kind != SCHED_OTHER && kind != SCHED_BATCH && kind != SCHED_IDLE)
		return fail(s, EOPNOTSUPP,
			"pid %d thread %d: scheduling policy %u cannot be restored", t->task->vpid,
			t->vtid, kind);
	if (core->sched_prio)
		return fail(s, EBADMSG,
			"pid %d thread %d: priority %u under a policy without priorities",
			t->task->vpid, t->vtid, core->sched_prio);
	return 0;
}

static int sched_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	const ThreadCoreEntry *core = t->core->thread_core;
	struct sched_param param = {.sched_priority = (int)core->sched_prio};
	program_step(p, "set nice value", NULL, SYS_setpriority, imm(PRIO_PROCESS), imm(0),
		simm(core->sched_nice));
	program_step(p, "set scheduling policy", NULL, SYS_sched_setscheduler, imm(0),
		imm(core->sched_policy), in_copy(p, &param, sizeof(param)));
	return 0;
}

const struct aspect sched_aspect = {
	.name = "scheduling",
	.read = sched_read,
	.check = sched_check,
	.plan = sched_plan,
};
