/*
 * Stopping a set of threads, each by the lane that will trace it to the end.
 *
 * All are asked before any is waited for, which hides the time that they take to stop.  Waiting is
 * bounded by an alarm in each lane: it interrupts wait4().
 */
#include "dump/candidate.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <time.h>
#include <unistd.h>

#include "base/share.h"
#include "engine/seize.h"

struct stopping {
	candidate_vec *candidates;
	uint64_t deadline_us;
	bool failed; /* in some lane: the other one stops */
};

static void on_alarm(int signo)
{
	(void)signo;
}

struct alarm {
	timer_t timer;
	bool armed;
};

static void start_alarm(struct alarm *a, uint64_t deadline_us)
{
	uint64_t now = now_us();
	if (!deadline_us)
		return;
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
	event._sigev_un._tid = gettid();
	uint64_t left_us = now < deadline_us ? deadline_us - now : 1;
	struct itimerspec when = {
		.it_interval = {.tv_sec = 1},
		.it_value = {(time_t)(left_us / 1000000), (long)(left_us % 1000000) * 1000},
	};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	a->armed = !timer_create(CLOCK_MONOTONIC, &event, &a->timer);
	if (a->armed)
		timer_settime(a->timer, 0, &when, NULL);
}

static void stop_alarm(const struct alarm *a)
{
	if (a->armed)
		timer_delete(a->timer);
}

static int read_registers(struct session *s, struct thread *th)
{
	if (ptrace(PTRACE_GETSIGMASK, th->tid, sizeof(th->sigmask), &th->sigmask) < 0)
		return fail(s, errno, "pid %d: read its signal mask", th->tid);
	int r = arch_get_gp(th->tid, &th->regs.gp);
	if (r == -ENOEXEC)
		return fail(s, EOPNOTSUPP, "pid %d runs 32-bit code, which is not supported yet",
			th->tid);
	if (r < 0)
		return fail(s, r, "pid %d: read registers", th->tid);
	return 0;
}

static int read_status(struct session *s, struct thread *th, pid_t pid)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP;
	int r = proc_status_read_tid(s, pid, th->tid, &th->status);
	if (r < 0)
		return fail(s, r, "pid %d: read its status", th->tid);
	if (th->status.n_nspid > 0)
		th->vtid = th->status.nspid[th->status.n_nspid - 1];
	if (th->status.seccomp && ptrace(PTRACE_SETOPTIONS, th->tid, NULL, (void *)options) < 0)
		return fail(s, errno, "pid %d: suspend its seccomp filters", th->tid);
	return 0;
}

static int read_stopped(struct session *s, struct candidate *c)
{
	struct thread *th = c->th = arena_new(&s->arena, struct thread);
	th->tid = th->vtid = c->tid;
	th->lane = c->lane;
	int r = 0;
	if (c->how != SEIZED_ZOMBIE) {
		th->seized = true;
		r = read_registers(s, th);
		if (r >= 0)
			r = read_status(s, th, c->task ? c->task->pid : c->tid);
	}
	if (r < 0 || c->task)
		return r;
	r = proc_stat_read(s, c->tid, &c->stat);
	return r < 0 ? fail(s, r, "pid %d: read its state", c->tid) : 0;
}

static int stop_one(struct stopping *z, struct session *s, struct candidate *c)
{
	if (c->how == SEIZED_RUNNING) {
		int r = seize_wait(s, c->tid, z->deadline_us, &c->signo);
		if (r < 0)
			return r;
		c->how = r;
	}
	bool nobody = c->how == SEIZED_GONE || (c->how == SEIZED_ZOMBIE && c->task);
	return nobody ? 0 : read_stopped(s, c);
}

static int begin_one(struct stopping *z, struct session *s, struct candidate *c)
{
	(void)z;
	int r = seize_begin(s, c->tid);
	c->how = r;
	return r < 0 ? r : 0;
}

static int for_each_of(struct stopping *z, struct session *s, unsigned lane, typeof(begin_one) *act)
{
	int r = 0;
	vec_for_each (z->candidates, c) {
		if (c->lane != lane || __atomic_load_n(&z->failed, __ATOMIC_RELAXED))
			continue;
		r = act(z, s, c);
		if (r < 0)
			break;
	}
	if (r < 0)
		__atomic_store_n(&z->failed, true, __ATOMIC_RELAXED);
	return r;
}

static int stop_mine(struct session *s, void *arg, unsigned lane)
{
	struct stopping *z = arg;
	struct alarm alarm = {0};
	start_alarm(&alarm, z->deadline_us);
	int r = for_each_of(z, s, lane, begin_one);
	if (r >= 0)
		r = for_each_of(z, s, lane, stop_one);
	stop_alarm(&alarm);
	return r;
}

int dump_stop_candidates(struct session *s, candidate_vec *candidates, uint64_t deadline_us)
{
	struct stopping z = {.candidates = candidates, .deadline_us = deadline_us};
	bool only_first = true;
	vec_for_each (candidates, c)
		only_first &= !c->lane;
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
	int r = only_first ? stop_mine(s, &z, 0) : lanes_run(s, stop_mine, &z);
	signal(SIGALRM, SIG_DFL);
	return r;
}
