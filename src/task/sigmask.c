/*
 * Blocked signals of a thread.
 *
 * Read and set by ptrace (PTRACE_GETSIGMASK, PTRACE_SETSIGMASK) where the thread is seized and
 * taken over, because the agent runs with everything blocked; here they only move between the
 * model and the image, which keeps the leader's mask with the process.
 */
#include "task/aspect.h"

extern const struct aspect sigmask_aspect;

static int sigmask_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)s;
	(void)p;
	(void)state;
	if (t->core->tc) {
		t->core->tc->blk_sigset = t->sigmask;
	} else {
		t->core->thread_core->has_blk_sigset = true;
		t->core->thread_core->blk_sigset = t->sigmask;
	}
	return 0;
}

static int sigmask_check(struct session *s, struct thread *t)
{
	(void)s;
	if (t->core->tc)
		t->sigmask = t->core->tc->blk_sigset;
	else
		t->sigmask =
			t->core->thread_core->has_blk_sigset ? t->core->thread_core->blk_sigset : 0;
	return 0;
}

const struct aspect sigmask_aspect = {
	.name = "signal mask",
	.store = sigmask_store,
	.check = sigmask_check,
};
