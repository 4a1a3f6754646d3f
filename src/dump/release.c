/*
 * The end of a dump: what becomes of the tasks.
 *
 * Detaching from a thread that was in a group-stop puts it back there by itself.  A stop signal
 * that arrived while the agent was at work was held back; it is sent again before, unless a SIGCONT
 * came after it.
 */
#include "dump/dump_tree.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "engine/pact.h"
#include "engine/seize.h"
#include "kernel/syscalls.h"
#include "mem/pages_dump.h"

enum {
	LARGE = 32 << 20, /* bytes of memory */
	AT_A_TIME = 256,  /* threads */
};

static void detach(const struct task *t, unsigned lane)
{
	vec_for_each (&t->threads, th)
		if ((*th)->seized && (*th)->lane == lane)
			ptrace(PTRACE_DETACH, (*th)->tid, NULL, NULL);
}

static void await_end(const struct thread *th, unsigned lane)
{
	while (th->seized && th->lane == lane && wait4(th->tid, NULL, __WALL, NULL) < 0 &&
		errno == EINTR)
		;
}

/*
 * The leader last: its end is reported only when the other threads are gone.  They die in their order,
 * and each death looks for one who is alive, past all that were not reaped (mm_update_next_owner()); but
 * to wait for each of them is to be woken by each.  So the last of some is waited for first.
 */
static void reap(const struct task *t, unsigned lane)
{
	for (size_t first = 1; first < t->threads.n; first += AT_A_TIME) {
		size_t end = first + AT_A_TIME < t->threads.n ? first + AT_A_TIME : t->threads.n;
		for (size_t i = end; i-- > first;)
			await_end(t->threads.v[i], lane);
	}
	if (t->threads.n)
		await_end(leader(t), lane);
}

static int detach_mine(struct session *s, void *arg, unsigned lane)
{
	(void)s;
	vec_for_each (&((struct dump *)arg)->tree.tasks, t)
		detach(*t, lane);
	return 0;
}

/* A large memory is freed by two processors: the task's own, which is dying, and ours. */
static void kill_task(const struct dump *d, const struct task *t)
{
	bool large = pages_predict(d->vmas[t->index]) >= LARGE;
	_cleanup_close_ int pidfd = large ? sys_pidfd_open(t->pid, 0) : -1;
	kill(t->pid, SIGKILL);
	if (pidfd >= 0)
		sys_process_mrelease(pidfd); /* or it does all of it itself */
}

static int reap_mine(struct session *s, void *arg, unsigned lane)
{
	(void)s;
	vec_for_each (&((struct dump *)arg)->tree.tasks, t)
		reap(*t, lane);
	return 0;
}

static void await_stops(struct dump *d)
{
	uint64_t deadline_us = seize_stop_deadline();
	vec_for_each (&d->tree.tasks, t)
		if (task_lives(*t))
			seize_await_group_stop(d->s, *t, deadline_us);
}

void dump_release(struct dump *d, enum release how)
{
	struct pact pact;
	dump_forget_records(d);
	if (how == RELEASE_KILLED)
		pact_begin(d->s, &pact, &d->tree);
	vec_for_each (&d->tree.tasks, it) {
		struct task *t = *it;
		if (!task_lives(t) || !t->threads.n)
			continue;
		if (how == RELEASE_KILLED) {
			kill_task(d, t);
			continue;
		}
		/* one that was stopped falls back into it by itself */
		if (how == RELEASE_STOPPED ? t->state != TASK_STOPPED : visit_owes_stop(d->s, t))
			kill(t->pid, SIGSTOP);
	}
	if (how == RELEASE_KILLED)
		pact_end(&pact);
	lanes_run(d->s, how == RELEASE_KILLED ? reap_mine : detach_mine, d);
	if (how == RELEASE_STOPPED)
		await_stops(d);
}
