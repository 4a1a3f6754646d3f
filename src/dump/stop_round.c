/*
 * Stopping a set of threads, each by the lane that will trace it to the end.
 *
 * All are asked before any is waited for, which hides the time that they take to stop.  Waiting is
 * bounded by an alarm in each lane: it interrupts wait4().
 *
 * The alarm also prevents a deadlock.  A thread in execve() waits until the others of its process
 * are dead and, of those that are traced, until the tracer has waited for them; meanwhile
 * PTRACE_SEIZE of it does not return, nor does it stop.  So whatever its lane is waiting for, at
 * every alarm it waits for those that are dead.  That takes time of its own, a call for each of
 * thousands of threads; so the next alarm is set when it is done, and the later the longer it took:
 * else a slow machine would do nothing but that.
 */
#include "dump/candidate.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/share.h"
#include "engine/seize.h"

struct stopping {
	candidate_vec *candidates;
	uint64_t deadline_us;
	bool statuses_later; /* of threads */
	bool failed;	     /* in some lane: the other one stops */
};

struct alarm {
	struct stopping *of;
	timer_t timer;
	bool armed;
};

enum {
	ALARM_NS = 10000000,
	ALARM_SHARE = 32, /* what an alarm does takes at most one part in so many of the time */
	/* for a process in execve() or exit_group(): */
	TRANSITION_NAP_NS = 200000,
	TRANSITION_NAPS = 500,
};

/* Looked at first: a stop would be reported too, whatever is asked for. */
static void bury(pid_t tid)
{
	siginfo_t info = {0};
	const int options = WEXITED | WNOHANG | __WALL;
	bool known = waitid(P_PID, (id_t)tid, &info, options | WNOWAIT) == 0 && info.si_pid;
	if (known && info.si_code != CLD_STOPPED && info.si_code != CLD_TRAPPED)
		waitid(P_PID, (id_t)tid, NULL, options);
}

/* The leaders' deaths are left: they are waited for by no execve(), and say that they are dead. */
static void bury_all(const struct stopping *z)
{
	const struct task *last = NULL;
	vec_for_each (z->candidates, c) {
		if (!c->task)
			continue;
		bury(c->tid);
		for (size_t i = 1; c->task != last && i < c->task->threads.n; i++)
			bury(c->task->threads.v[i]->tid);
		last = c->task;
	}
}

static void set_alarm(const struct alarm *a, long ns)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}};
	timer_settime(a->timer, 0, &when, NULL);
}

static long processor_time_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void on_alarm(int signo, siginfo_t *info, void *context)
{
	const struct alarm *a = info->si_value.sival_ptr;
	int err = errno;
	(void)signo;
	(void)context;
	if (info->si_code != SI_TIMER)
		return;
	long begin = processor_time_ns();
	bury_all(a->of);
	long rest = (processor_time_ns() - begin) * ALARM_SHARE;
	set_alarm(a, rest > ALARM_NS ? rest : ALARM_NS);
	errno = err;
}

static void start_alarm(struct alarm *a)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
	event.sigev_value.sival_ptr = a;
	event._sigev_un._tid = gettid();
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	a->armed = !timer_create(CLOCK_MONOTONIC, &event, &a->timer);
	if (a->armed)
		set_alarm(a, ALARM_NS);
}

static void stop_alarm(const struct alarm *a)
{
	if (a->armed)
		timer_delete(a->timer);
}

/* -ESRCH without a failure: it was killed since it stopped. */
static int read_registers(struct session *s, struct thread *th, int how)
{
	if (ptrace(PTRACE_GETSIGMASK, th->tid, sizeof(th->sigmask), &th->sigmask) < 0)
		return errno == ESRCH ? -ESRCH
				      : fail(s, errno, "pid %d: read its signal mask", th->tid);
	int r = arch_get_gp(th->tid, &th->regs.gp);
	if (r == -ENOEXEC)
		return fail(s, EOPNOTSUPP, "pid %d runs 32-bit code, which is not supported yet",
			th->tid);
	/* who was in a group-stop before is left as it was */
	if (r >= 0 && how == SEIZED_RUNNING)
		r = arch_forget_interruption(th->tid, &th->regs.gp);
	if (r == -ESRCH)
		return r;
	return r < 0 ? fail(s, r, "pid %d: read registers", th->tid) : 0;
}

static int read_stopped(const struct stopping *z, struct session *s, struct candidate *c)
{
	struct thread *th = c->th = arena_new(&s->arena, struct thread);
	th->tid = th->vtid = c->tid;
	th->lane = c->lane;
	int r = 0;
	if (c->how != SEIZED_ZOMBIE) {
		th->seized = true;
		r = read_registers(s, th, c->how);
		c->no_status = c->task && z->statuses_later;
		if (r >= 0 && !c->no_status)
			r = dump_read_status(s, th, c->task ? c->task->pid : c->tid);
	}
	if (r >= 0 && !c->task) {
		r = proc_stat_read(s, c->tid, &c->stat);
		if (r < 0 && r != -ESRCH && r != -ENOENT)
			fail(s, r, "pid %d: read its state", c->tid);
	}
	if (r != -ESRCH && r != -ENOENT)
		return r;
	dump_let_go(c->tid);
	c->th = NULL;
	return 0;
}

/*
 * A dead leader whose threads live, as it seems: usually they end, too, or one of them is about to
 * become the leader.
 */
static int await_transition(struct stopping *z, struct session *s, struct candidate *c)
{
	const struct timespec nap = {.tv_nsec = TRANSITION_NAP_NS};
	for (int i = 0; i < TRANSITION_NAPS && c->how == SEIZED_ZOMBIE; i++) {
		struct proc_stat stat;
		if (proc_stat_read(s, c->tid, &stat) >= 0 && stat.num_threads <= 1)
			return 0;
		nanosleep(&nap, NULL);
		c->how = seize_thread(s, c->tid, z->deadline_us, &c->signo);
	}
	return c->how < 0 ? c->how : 0;
}

static int stop_one(struct stopping *z, struct session *s, struct candidate *c)
{
	int r = 0;
	if (c->how == SEIZED_RUNNING)
		r = c->how = seize_wait(s, c->tid, z->deadline_us, &c->signo);
	if (r >= 0 && c->how == SEIZED_ZOMBIE && !c->task)
		r = await_transition(z, s, c);
	if (r < 0)
		return r;
	bool nobody = c->how == SEIZED_GONE || (c->how == SEIZED_ZOMBIE && c->task);
	return nobody ? 0 : read_stopped(z, s, c);
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
	struct alarm alarm = {.of = z};
	start_alarm(&alarm);
	int r = for_each_of(z, s, lane, begin_one);
	if (r >= 0)
		r = for_each_of(z, s, lane, stop_one);
	stop_alarm(&alarm);
	return r;
}

int dump_stop_candidates(
	struct session *s, candidate_vec *candidates, uint64_t deadline_us, bool statuses_later)
{
	struct stopping z = {.candidates = candidates,
		.deadline_us = deadline_us,
		.statuses_later = statuses_later};
	bool only_first = true;
	vec_for_each (candidates, c)
		only_first &= !c->lane;
	sigaction(SIGALRM, &(struct sigaction){.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO},
		NULL);
	int r = only_first ? stop_mine(s, &z, 0) : lanes_run(s, stop_mine, &z);
	signal(SIGALRM, SIG_DFL);
	return r;
}
