/*
 * The signal a thread gets when its parent thread ends: prctl(2) PR_SET_PDEATHSIG.
 *
 * Changing credentials clears it, so it comes after them.  Set in any case, because stubs may
 * carry one of the controller's making.
 */
#include <errno.h>
#include <signal.h>

#include "cli/options.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect pdeath_signal_aspect;

enum { SIGNAL_MAX = 64 };

static int pdeath_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	int *read = *state = arena_new(&s->arena, int);
	program_step(p, "read parent-death signal", NULL, SYS_prctl, imm(PR_GET_PDEATHSIG),
		out(p, read, sizeof(*read)));
	return 0;
}

static int pdeath_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)s;
	(void)p;
	int signo = *(const int *)state;
	t->core->thread_core->has_pdeath_sig = signo != 0;
	t->core->thread_core->pdeath_sig = (uint32_t)signo;
	return 0;
}

static int pdeath_check(struct session *s, struct thread *t)
{
	const ThreadCoreEntry *core = t->core->thread_core;
	if (core->has_pdeath_sig && core->pdeath_sig > SIGNAL_MAX)
		return fail(s, EBADMSG, "pid %d thread %d: parent-death signal %u", t->task->vpid,
			t->vtid, core->pdeath_sig);
	if (core->has_pdeath_sig && core->pdeath_sig && !t->task->parent && s->opt &&
		s->opt->detach)
		log_warn(s, "pid %d: gets signal %u as soon as this command ends, its parent",
			t->vtid, core->pdeath_sig);
	return 0;
}

static int pdeath_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	const ThreadCoreEntry *core = t->core->thread_core;
	program_step(p, "set parent-death signal", NULL, SYS_prctl, imm(PR_SET_PDEATHSIG),
		imm(core->has_pdeath_sig ? core->pdeath_sig : 0));
	return 0;
}

const struct aspect pdeath_signal_aspect = {
	.name = "parent-death signal",
	.collect = pdeath_collect,
	.store = pdeath_store,
	.check = pdeath_check,
	.plan = pdeath_plan,
};
