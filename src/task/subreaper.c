/*
 * A process that orphaned descendants are given to: prctl(2) PR_SET_CHILD_SUBREAPER.
 *
 * Setting it marks the descendants that exist by then, so the moment does not matter to them; but
 * it must be set before a helper that forked tasks ends, or these become children of another
 * reaper (spec 3.4 B).  The restore pipeline may therefore play this plan early; twice is harmless.
 */
#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect subreaper_aspect;

static int subreaper_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	int *read = *state = arena_new(&s->arena, int);
	program_step(p, "read child subreaper", NULL, SYS_prctl, imm(PR_GET_CHILD_SUBREAPER),
		out(p, read, sizeof(*read)));
	return 0;
}

static int subreaper_store(
	struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)s;
	(void)p;
	t->core->tc->has_child_subreaper = true;
	t->core->tc->child_subreaper = *(const int *)state != 0;
	return 0;
}

static int subreaper_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	if (t->core->tc->has_child_subreaper && t->core->tc->child_subreaper)
		program_step(p, "become child subreaper", NULL, SYS_prctl,
			imm(PR_SET_CHILD_SUBREAPER), imm(1));
	return 0;
}

const struct aspect subreaper_aspect = {
	.name = "child subreaper",
	.leader_only = true,
	.collect = subreaper_collect,
	.store = subreaper_store,
	.plan = subreaper_plan,
};
