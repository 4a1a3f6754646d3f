/*
 * Playing programs on the leader of a visit, and waiting for it.
 *
 * An agent that has nothing to do waits on `hold`; one that is done wakes whoever waits on `done`.
 * The first program of a visit is loaded before the leader is let into the agent at all.
 */
#include "engine/visit.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/proc_status.h"
#include "kernel/syscalls.h"

enum {
	/* how often a silent agent's task is looked at: soon at first, then less */
	FIRST_SLICE_US = 50,
	LAST_SLICE_US = 20000,
	/* for one step of it: that long without a sleep, then by short ones */
	PATIENCE_US = 50,
	SLEEP_US = 20,
};

/* Clears FUTEX_WAITERS (bit 31) and wakes in one call: nobody may die between the two. */
static void ring(struct agent_channel *shared)
{
	const uint32_t op = (uint32_t)(FUTEX_OP_ANDN | FUTEX_OP_OPARG_SHIFT) << 28 |
			    FUTEX_OP_CMP_EQ << 24 | 31u << 12;
	syscall(SYS_futex, &shared->hold, FUTEX_WAKE_OP, 1, NULL, &shared->hold, op);
}

static int look_after(struct visit *v, pid_t tid)
{
	int status;
	pid_t got = wait4(tid, &status, __WALL | WNOHANG, NULL);
	if (got == 0)
		return 0;
	if (got < 0)
		return fail(v->s, errno, "pid %d: wait for it", tid);
	return visit_go_on(v, tid, status);
}

/* It would stop the agent. visit_owes_stop() tells whether it is due in the end. */
void visit_hold_stop(struct visit *v, int status)
{
	if (WSTOPSIG(status) != SIGSTOP || status >> 16)
		return;
	v->t->stop_signo = SIGSTOP;
	v->t->held_stop = true;
}

bool visit_owes_stop(struct session *s, const struct task *t)
{
	struct proc_status st;
	const uint64_t cont = 1ull << (SIGCONT - 1);
	/* a SIGCONT is pending even if it is ignored: the task is traced; a SIGSTOP would remove it */
	return t->held_stop &&
		(proc_status_read(s, t->pid, &st) < 0 || !((st.sig_pnd | st.shd_pnd) & cont));
}

int visit_go_on(struct visit *v, pid_t tid, int status)
{
	if (tid == v->t->pid)
		v->running = false;
	if (!WIFSTOPPED(status))
		return fail(v->s, ESRCH, "pid %d died while it was being dumped", tid);
	int signo = WSTOPSIG(status);
	if (status >> 16 == 0 && signo != SIGSTOP)
		return fail(v->s, EFAULT, "pid %d: the agent got signal %d", tid, signo);
	visit_hold_stop(v, status);
	if (ptrace(PTRACE_CONT, tid, NULL, NULL) < 0)
		return fail(v->s, errno, "pid %d: continue the agent", tid);
	v->running |= tid == v->t->pid;
	return 0;
}

static long longer(long slice_us)
{
	return slice_us < LAST_SLICE_US / 4 ? slice_us * 4 : LAST_SLICE_US;
}

static int wait_done(struct visit *v, pid_t tid, struct agent_channel *shared)
{
	/* A task in group-stop stops once more on its way into the agent. */
	bool look = v->t->state == TASK_STOPPED;
	for (long slice_us = FIRST_SLICE_US;; slice_us = longer(slice_us)) {
		const struct timespec slice = {.tv_nsec = slice_us * 1000};
		uint32_t done = __atomic_load_n(&shared->done, __ATOMIC_SEQ_CST);
		if (done == shared->request)
			return 0;
		int looked = look ? look_after(v, tid) : 0;
		if (looked < 0)
			return looked;
		long r = syscall(SYS_futex, &shared->done, FUTEX_WAIT, done, &slice, NULL, 0);
		look = r < 0 && errno == ETIMEDOUT;
	}
}

int visit_play_out(struct visit *v, pid_t tid, struct channel *ch, struct program *p)
{
	for (;;) {
		int r = wait_done(v, tid, ch->shared);
		if (r >= 0)
			r = channel_collect(ch, p);
		if (r < 0 || p->n_played == p->steps.n)
			return r;
		r = channel_load(ch, p);
		if (r < 0)
			return r;
		ring(ch->shared);
	}
}

static int start(struct visit *v, struct program *p)
{
	int r = channel_load(&v->channel, p);
	if (r < 0)
		return r;
	if (!v->running)
		return visit_go(v, v->t->pid);
	ring(v->channel.shared);
	return 0;
}

int visit_play_meanwhile(struct visit *v, struct program *p, int (*meanwhile)(void *arg), void *arg)
{
	int r = start(v, p);
	if (r < 0)
		return r;
	int done_here = meanwhile(arg);
	r = visit_play_out(v, v->t->pid, &v->channel, p);
	return r < 0 ? r : done_here;
}

int64_t visit_await_step(const struct visit *v, int step, unsigned timeout_ms)
{
	const struct agent_channel *shared = v->channel.shared;
	const struct timespec slice = {.tv_nsec = SLEEP_US * 1000};
	uint64_t start_us = now_us();
	for (;;) {
		int64_t result = __atomic_load_n(&shared->steps[step].result, __ATOMIC_SEQ_CST);
		if (result != AGENT_RESULT_NONE)
			return result;
		uint64_t waited_us = now_us() - start_us;
		if (waited_us > timeout_ms * 1000ull)
			return -ETIMEDOUT;
		if (waited_us > PATIENCE_US)
			nanosleep(&slice, NULL); /* it may need this processor */
	}
}

bool visit_has_played(const struct visit *v)
{
	const struct agent_channel *shared = v->channel.shared;
	return __atomic_load_n(&shared->done, __ATOMIC_SEQ_CST) == shared->request;
}

int visits_play(struct visit *const *v, struct program *p, size_t n)
{
	int r = 0;
	size_t n_started = 0;
	for (size_t i = 0; i < n && r >= 0; i++) {
		if (v[i] && p[i].n_played < p[i].steps.n)
			r = start(v[i], &p[i]);
		n_started += r >= 0;
	}
	for (size_t i = 0; i < n_started; i++) {
		if (!v[i] || p[i].n_played == p[i].steps.n)
			continue;
		int err = visit_play_out(v[i], v[i]->t->pid, &v[i]->channel, &p[i]);
		r = r < 0 ? r : err;
	}
	return r;
}

int visit_play(struct visit *v, struct program *p)
{
	return visits_play(&v, p, 1);
}
