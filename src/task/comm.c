/*
 * The name of a thread: prctl(2) PR_GET_NAME and PR_SET_NAME, 15 bytes.
 *
 * A process has no name of its own: tc.comm is what /proc/PID/stat shows for the leader (core.c)
 * and wins over the leader's thread_core.comm.  The bytes need not be text.
 */
#include <errno.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/core.h"

extern const struct aspect comm_aspect;

enum { COMM_LEN = 16 }; /* TASK_COMM_LEN, with the NUL */

static int comm_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	char *name = arena_alloc(&s->arena, COMM_LEN);
	program_step(p, "read name", NULL, SYS_prctl, imm(PR_GET_NAME), out(p, name, COMM_LEN));
	*state = name;
	return 0;
}

static int comm_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)s;
	(void)p;
	t->core->thread_core->comm = state;
	return 0;
}

static const char *image_comm(const struct thread *t)
{
	if (t->core->tc)
		return t->core->tc->comm;
	const char *own = t->core->thread_core->comm;
	return own ? own : core_tc(t)->comm;
}

static int comm_check(struct session *s, struct thread *t)
{
	if (strlen(image_comm(t)) >= COMM_LEN)
		return fail(s, EBADMSG, "pid %d thread %d: name longer than %d bytes",
			t->task->vpid, t->vtid, COMM_LEN - 1);
	return 0;
}

static int comm_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	const char *name = image_comm(t);
	program_step(p, "set name", name, SYS_prctl, imm(PR_SET_NAME), in_str(p, name));
	return 0;
}

const struct aspect comm_aspect = {
	.name = "name",
	.collect = comm_collect,
	.store = comm_store,
	.check = comm_check,
	.plan = comm_plan,
};
