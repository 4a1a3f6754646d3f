/*
 * Transparent huge pages forbidden for a process: prctl(2) PR_SET_THP_DISABLE.
 *
 * A flag of the address space, inherited by fork, so it is set both ways unless the controller
 * already has the wanted value.  Linux 6.18 knows a milder form (PR_THP_DISABLE_EXCEPT_ADVISED),
 * a flag that stands in our own image; older kernels get the full one.
 */
#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/core.h"
#include "task/extras.h"

extern const struct aspect thp_aspect;

enum { DISABLED = 1 }; /* PR_GET_THP_DISABLE returns this and the flags */

static int thp_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	int *step = *state = arena_new(&s->arena, int);
	*step = program_step(p, "read THP switch", NULL, SYS_prctl, imm(PR_GET_THP_DISABLE), imm(0),
		imm(0), imm(0), imm(0));
	return 0;
}

static int thp_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	int64_t value = program_result(p, *(const int *)state);
	MmEntry *mm = core_mm(s, t->task);
	mm->has_thp_disabled = true;
	mm->thp_disabled = value != 0;
	if (value > DISABLED) {
		extras_make(s, t)->has_thp_disable_flags = true;
		t->extras->thp_disable_flags = (uint32_t)value & ~(uint32_t)DISABLED;
	}
	return 0;
}

static int thp_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	const MmEntry *mm = t->task->mm;
	bool want = mm && mm->has_thp_disabled && mm->thp_disabled;
	uint32_t flags = want ? extra_or(t, thp_disable_flags, 0) : 0;
	if ((int)(want | flags) == prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0))
		return 0;
	program_step(p, want ? "disable THP" : "enable THP", NULL, SYS_prctl,
		imm(PR_SET_THP_DISABLE), imm(want), imm(0), imm(0), imm(0));
	if (flags)
		program_try(p, "exceptions of disabled huge pages", SYS_prctl,
			imm(PR_SET_THP_DISABLE), imm(want), imm(flags), imm(0), imm(0));
	return 0;
}

const struct aspect thp_aspect = {
	.name = "THP switch",
	.leader_only = true,
	.collect = thp_collect,
	.store = thp_store,
	.plan = thp_plan,
};
