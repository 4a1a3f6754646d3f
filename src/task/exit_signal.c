/*
 * The signal that a parent gets when its child ends: SIGCHLD after fork(2), any or none after
 * clone(2).  Who waits for a child with another one has to ask for it (__WCLONE, __WALL).
 *
 * Field 38 of /proc/PID/stat, given to the clone3(2) that makes the stub; in our own image only
 * where it is not SIGCHLD.  The kernel goes back to that by itself when the task executes a program
 * or comes to another parent; so the root of the tree, whose parent is another at least once, has
 * no other.
 *
 * Of a zombie the signal was sent, and must not be again: it has none, which is waited for in the
 * same way.  So is one beyond the last signal, which clone(2) takes, never sends, and clone3(2)
 * refuses.
 */
#include "task/exit_signal.h"

#include <errno.h>
#include <signal.h>

#include "task/aspect.h"
#include "task/extras.h"

extern const struct aspect exit_signal_aspect;

enum { LAST_SIGNAL = 64 };

void exit_signal_keep(struct session *s, struct task *t)
{
	int signo = t->stat.exit_signal;
	if (!t->parent || signo == SIGCHLD)
		return;
	extras_make(s, leader(t))->has_exit_signal = true;
	bool may_be_sent = task_lives(t) && signo > 0 && signo <= LAST_SIGNAL;
	leader(t)->extras->exit_signal = may_be_sent ? (uint32_t)signo : 0;
}

int exit_signal_check(struct session *s, const struct task *t)
{
	uint64_t signo = exit_signal_of(t);
	if (signo > (task_lives(t) ? LAST_SIGNAL : 0) && signo != SIGCHLD)
		return fail(s, EBADMSG, "pid %d: its parent is to get signal %u when it ends",
			t->vpid, (unsigned)signo);
	return 0;
}

uint64_t exit_signal_of(const struct task *t)
{
	return t->parent ? extra_or(leader(t), exit_signal, SIGCHLD) : SIGCHLD;
}

static int store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)p;
	(void)state;
	exit_signal_keep(s, t->task);
	return 0;
}

static int check(struct session *s, struct thread *t)
{
	return exit_signal_check(s, t->task);
}

const struct aspect exit_signal_aspect = {
	.name = "signal at its end",
	.leader_only = true,
	.store = store,
	.check = check,
};
