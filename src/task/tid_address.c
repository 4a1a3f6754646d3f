/*
 * The word that the kernel clears and wakes when a thread ends: set_tid_address(2).
 *
 * pthread_join() waits on it.  PR_GET_TID_ADDRESS reads it (Linux 3.5, CONFIG_CHECKPOINT_RESTORE).
 * The image keeps it with the registers, hence the call into arch/.
 */
#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect tid_address_aspect;

static int tid_address_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	uint64_t *read = *state = arena_new(&s->arena, uint64_t);
	program_step(p, "read clear_child_tid", NULL, SYS_prctl, imm(PR_GET_TID_ADDRESS),
		out(p, read, sizeof(*read)));
	return 0;
}

static int tid_address_store(
	struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)s;
	(void)p;
	arch_core_set_tid_address(t->core, *(const uint64_t *)state);
	return 0;
}

static int tid_address_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	/* It returns the caller's thread id: a cheap proof that the right thread plays this. */
	program_expect(p,
		program_step(p, "set clear_child_tid", NULL, SYS_set_tid_address,
			imm(arch_core_tid_address(t->core))),
		t->vtid);
	return 0;
}

const struct aspect tid_address_aspect = {
	.name = "clear_child_tid",
	.collect = tid_address_collect,
	.store = tid_address_store,
	.plan = tid_address_plan,
};
