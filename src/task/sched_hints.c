/*
 * What sched_setattr(2) knows beyond policy and priority: a time slice of its own (Linux 6.12) and
 * utilisation clamps (CONFIG_UCLAMP_TASK).
 *
 * Read from outside, kept in our own image.  The kernel does not tell a chosen slice from the one
 * that all tasks have, so it counts as chosen if it is not the controller's; that one is 0 where
 * the kernel has no slices.  Clamps of 0 and 0 mean that it has none.
 *
 * What must hold: planned after scheduling, whose parameters are given again with the slice.
 */
#include <sched.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/extras.h"
#include "task/sched_attr.h"

extern const struct aspect sched_hints_aspect;

enum {
	KEEP_ALL = 0x18,
	UTIL_CLAMP = 0x60,
	POLICY_RESET_ON_FORK = 0x40000000,
	CAPACITY = 1024,
};

static bool is_realtime(uint32_t policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool is_fair(uint32_t policy)
{
	return policy == SCHED_OTHER || policy == SCHED_BATCH;
}

/* The controller's own, which no thread is asked for again. */
static const struct sched_attributes *own_attributes(struct session *s, struct tree *tree)
{
	struct sched_attributes own;
	if (!tree->own_scheduling && sched_attributes_read(0, &own))
		tree->own_scheduling = arena_memdup(&s->arena, &own, sizeof(own));
	return tree->own_scheduling;
}

static int hints_read(struct session *s, struct thread *t, void **state)
{
	(void)state;
	struct sched_attributes of;
	const struct sched_attributes *own = own_attributes(s, t->task->tree);
	if (!own || !sched_attributes_read(t->tid, &of))
		return 0;
	if (is_fair(of.policy) && is_fair(own->policy) && of.runtime != own->runtime) {
		extras_make(s, t)->has_sched_slice_ns = true;
		t->extras->sched_slice_ns = of.runtime;
	}
	/* realtime threads are clamped to the maximum unless they say otherwise */
	uint32_t min = is_realtime(of.policy) ? CAPACITY : 0;
	if ((of.util_min || of.util_max) && (of.util_min != min || of.util_max != CAPACITY)) {
		FermataEntry *e = extras_make(s, t);
		e->has_sched_util_min = e->has_sched_util_max = true;
		e->sched_util_min = of.util_min;
		e->sched_util_max = of.util_max;
	}
	return 0;
}

static void set_attr(struct program *p, const char *what, struct sched_attributes a)
{
	a.size = sizeof(a);
	program_try(p, what, SYS_sched_setattr, imm(0), in_copy(p, &a, sizeof(a)), imm(0));
}

static int hints_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	const ThreadCoreEntry *core = t->core->thread_core;
	const FermataEntry *e = t->extras;
	if (e && e->has_sched_slice_ns)
		set_attr(p, "time slice",
			(struct sched_attributes){
				.policy = core->sched_policy & ~(uint32_t)POLICY_RESET_ON_FORK,
				.flags = core->sched_policy & POLICY_RESET_ON_FORK
						 ? SCHED_ATTR_RESET_ON_FORK
						 : 0,
				.nice = core->sched_nice,
				.runtime = e->sched_slice_ns,
			});
	if (e && e->has_sched_util_min && e->has_sched_util_max)
		set_attr(p, "utilisation clamps",
			(struct sched_attributes){
				.flags = KEEP_ALL | UTIL_CLAMP,
				.util_min = e->sched_util_min,
				.util_max = e->sched_util_max,
			});
	return 0;
}

const struct aspect sched_hints_aspect = {
	.name = "scheduling hints",
	.read = hints_read,
	.plan = hints_plan,
};
