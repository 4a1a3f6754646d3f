/*
 * The alternate signal stack of a thread: sigaltstack(2).
 *
 * Read inside, on the agent's stack, so SS_ONSTACK never shows; SS_AUTODISARM does.  A thread
 * made with CLONE_VM starts without one, but a process inherits its parent's, in the end the
 * controller's.
 */
#include <errno.h>
#include <signal.h>

#include "task/aspect.h"

extern const struct aspect sigaltstack_aspect;

static int sigaltstack_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	stack_t *read = *state = arena_new(&s->arena, stack_t);
	program_step(p, "read alternate signal stack", NULL, SYS_sigaltstack, imm(0),
		out(p, read, sizeof(*read)));
	return 0;
}

static int sigaltstack_store(
	struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)p;
	const stack_t *read = state;
	ThreadSasEntry *e = t->core->thread_core->sas = arena_new(&s->arena, ThreadSasEntry);
	thread_sas_entry__init(e);
	e->ss_sp = (uint64_t)(uintptr_t)read->ss_sp;
	e->ss_size = read->ss_size;
	e->ss_flags = (uint32_t)read->ss_flags;
	return 0;
}

static int sigaltstack_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	const ThreadSasEntry *e = t->core->thread_core->sas;
	stack_t want = {.ss_flags = SS_DISABLE};
	if (e && !(e->ss_flags & SS_DISABLE))
		want = (stack_t){
			.ss_sp = (void *)(uintptr_t)e->ss_sp,
			.ss_size = e->ss_size,
			.ss_flags = (int)e->ss_flags,
		};
	else if (t != leader(t->task))
		return 0;
	program_step(p, "set alternate signal stack", NULL, SYS_sigaltstack,
		in_copy(p, &want, sizeof(want)), imm(0));
	return 0;
}

const struct aspect sigaltstack_aspect = {
	.name = "alternate signal stack",
	.collect = sigaltstack_collect,
	.store = sigaltstack_store,
	.plan = sigaltstack_plan,
};
