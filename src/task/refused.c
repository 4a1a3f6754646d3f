/*
 * Properties that no restore can bring back: what would make the restored program fault or lose
 * what it relies on blocks the dump.
 *
 * Shadow stacks (CET) and syscall user dispatch are read by ptrace, pointer tags (LAM) inside.
 */
#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect refused_aspect;

#ifndef PTRACE_ARCH_PRCTL
#define PTRACE_ARCH_PRCTL 30
#endif

enum {
	SHSTK_STATUS = 0x5005,	 /* arch_prctl: ARCH_SHSTK_STATUS */
	GET_UNTAG_MASK = 0x4001, /* arch_prctl: ARCH_GET_UNTAG_MASK */
};

struct untag {
	int step;
	uint64_t mask;
};

struct sud_config {
	uint64_t mode, selector, offset, len;
};

static int refused_inspect(struct session *s, struct thread *t, void **state)
{
	(void)state;
	uint64_t features = 0;
	if (ptrace(PTRACE_ARCH_PRCTL, t->tid, &features, SHSTK_STATUS) >= 0 && features)
		block(s, t->task->vpid, NULL, "thread %d: uses a shadow stack (CET)", t->vtid);
	struct sud_config sud = {0};
	if (ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, t->tid, sizeof(sud), &sud) >= 0 &&
		sud.mode)
		block(s, t->task->vpid, NULL, "thread %d: uses syscall user dispatch", t->vtid);
	return 0;
}

static int refused_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	if (t != leader(t->task))
		return 0;
	struct untag *x = *state = arena_new(&s->arena, struct untag);
	x->step = program_may_fail(
		p, program_step(p, "look for", "pointer tags", SYS_arch_prctl, imm(GET_UNTAG_MASK),
			   out(p, &x->mask, sizeof(x->mask))));
	return 0;
}

static int refused_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	const struct untag *x = state;
	if (x && program_result(p, x->step) >= 0 && x->mask != UINT64_MAX)
		block(s, t->task->vpid, NULL, "uses tagged pointers (LAM)");
	return 0;
}

const struct aspect refused_aspect = {
	.name = "properties that cannot be restored",
	.inspect = refused_inspect,
	.collect = refused_collect,
	.store = refused_store,
};
