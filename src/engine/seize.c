/*
 * Stopping one thread, whatever it is doing; see seize.h.
 *
 * PTRACE_SEIZE fails alike for zombies, exiting tasks, foreign tracers and lack of rights, so a
 * failure is explained from /proc.  Waiting is bounded by the interval timer that the dump
 * pipeline arms: it interrupts wait4().
 */
#include "engine/seize.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "kernel/cgroup_freezer.h"
#include "kernel/proc_stat.h"
#include "kernel/proc_status.h"
#include "task/task.h"

/* For as long as a thread takes to become a leader in execve(). */
enum { NAP_NS = 200000, NAPS = 500 };
/* For a group-stop, and between two looks. */
enum { STOP_WAIT_MS = 2000, STOP_POLL_MS = 1 };
/* How many of them a thread that was asked to stop may take, before it is asked again. */
enum { ALARMS = 5 };

void seize_without_sigchld(void)
{
	struct sigaction action;
	if (sigaction(SIGCHLD, NULL, &action) < 0 || action.sa_handler == SIG_IGN)
		return;
	action.sa_flags |= SA_NOCLDSTOP;
	sigaction(SIGCHLD, &action, NULL);
}

/* Neither is told by the kernel: see __ptrace_may_access() in kernel/ptrace.c. */
static const char *why_forbidden(struct session *s)
{
	struct proc_status own;
	bool capable =
		proc_status_read(s, getpid(), &own) >= 0 && own.cap_eff >> CAP_SYS_PTRACE & 1;
	return capable ? "a security module, or its user namespace, forbids it"
		       : "it takes CAP_SYS_PTRACE, which is not ours";
}

static int explain_refusal(struct session *s, pid_t tid, int err, const struct proc_status *status)
{
	if (status->state == 'Z')
		return SEIZED_ZOMBIE;
	if (status->state == 'X')
		return SEIZED_GONE;
	if (status->tracer) {
		struct proc_stat tracer = {.comm = "?"};
		proc_stat_read(s, status->tracer, &tracer);
		return fail_remedy(s, EBUSY, "detach the debugger first",
			"pid %d is traced by pid %d (%s)", tid, status->tracer, tracer.comm);
	}
	if (err == EPERM)
		return fail_remedy(s, err, tid == 1 ? "pid 1 is init: name a tree below it" : NULL,
			"pid %d (state %c): seize (%s)", tid, status->state, why_forbidden(s));
	return fail(s, err, "pid %d (state %c): seize", tid, status->state);
}

int seize_fail_frozen(struct session *s, pid_t tid, const char *frozen_by)
{
	return fail_remedy(s, EBUSY,
		"thaw it before the dump (--freeze-cgroup is not there yet)",
		"pid %d is frozen by its cgroup (%s)", tid, frozen_by);
}

static int fail_late(struct session *s, pid_t tid)
{
	const char *frozen_by = cgroup_task_frozen_by(s, tid);
	if (frozen_by)
		return seize_fail_frozen(s, tid, frozen_by);
	struct proc_status status = {.state = '?'};
	proc_status_read(s, tid, &status);
	return fail_remedy(s, ETIMEDOUT, "try again, or raise --timeout",
		"pid %d (state %c) did not stop in time (in an uninterruptible call, or a parent "
		"in "
		"vfork?)",
		tid, status.state);
}

/*
 * A thread that took the number of its leader, in execve(), between PTRACE_SEIZE and
 * PTRACE_INTERRUPT was not asked: nobody had its old number.  If the one who is asked again is just
 * about to stop, it stops once more when it goes on, which does no harm.
 */
static void ask_again(pid_t tid)
{
	siginfo_t info = {0};
	const int options = WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL;
	if (waitid(P_PID, (id_t)tid, &info, options) == 0 && !info.si_pid)
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
}

/* Passes signals that came first on to the task, until it is in the stop that was asked for. */
int seize_wait(struct session *s, pid_t tid, uint64_t deadline_us, int *ret_signo)
{
	for (int alarms = 1;; alarms++) {
		int status;
		if (wait4(tid, &status, __WALL, NULL) < 0) {
			if (errno == EINTR && (!deadline_us || now_us() < deadline_us)) {
				if (alarms % ALARMS == 0)
					ask_again(tid);
				continue;
			}
			if (errno == ECHILD || errno == ESRCH)
				return SEIZED_GONE;
			if (errno == EINTR)
				return fail_late(s, tid);
			return fail(s, errno, "pid %d: wait for its stop", tid);
		}
		if (!WIFSTOPPED(status))
			return SEIZED_GONE;
		int signo = WSTOPSIG(status);
		if (status >> 16 == PTRACE_EVENT_STOP) {
			if (ret_signo)
				*ret_signo = signo == SIGTRAP ? 0 : signo;
			return signo == SIGTRAP ? SEIZED_RUNNING : SEIZED_STOPPED;
		}
		if (ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signo) < 0 && errno != ESRCH)
			return fail(s, errno, "pid %d: pass signal %d on", tid, signo);
	}
}

/* It was dead when it was to be seized, and is alive: one of its threads has taken its place. */
static bool came_back(const struct proc_status *status)
{
	return !status->tracer && status->state != 'Z' && status->state != 'X';
}

/* One look decides: between two a zombie may come back. */
static int seize(struct session *s, pid_t tid)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	for (int i = 0;; i++) {
		if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)(intptr_t)PTRACE_O_TRACESYSGOOD) >= 0)
			return SEIZED_RUNNING;
		int err = errno;
		struct proc_status status;
		if (err == ESRCH || proc_status_read(s, tid, &status) < 0)
			return SEIZED_GONE;
		if (i == NAPS || err != EPERM || !came_back(&status))
			return explain_refusal(s, tid, err, &status);
		nanosleep(&nap, NULL);
	}
}

int seize_begin(struct session *s, pid_t tid)
{
	int r = seize(s, tid);
	if (r != SEIZED_RUNNING)
		return r;
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 && errno != ESRCH)
		return fail(s, errno, "pid %d: interrupt", tid);
	return SEIZED_RUNNING;
}

int seize_ask(struct session *s, pid_t tid)
{
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		return fail(s, errno, "pid %d: interrupt", tid);
	return 0;
}

int seize_await(struct session *s, pid_t tid, int *signo)
{
	int now = 0, r = seize_wait(s, tid, 0, &now);
	if (now)
		*signo = now;
	if (r == SEIZED_GONE)
		return fail(s, ESRCH, "pid %d died while it was being dumped", tid);
	return r < 0 ? r : 0;
}

uint64_t seize_stop_deadline(void)
{
	return now_us() + (uint64_t)STOP_WAIT_MS * 1000;
}

static bool is_on_its_way(struct session *s, pid_t tid)
{
	struct proc_stat stat;
	return proc_stat_read(s, tid, &stat) >= 0 && !strchr("TZX", stat.state);
}

void seize_await_group_stop(struct session *s, const struct task *t, uint64_t deadline_us)
{
	vec_for_each (&t->threads, th)
		while (is_on_its_way(s, (*th)->tid) && now_us() < deadline_us)
			poll(NULL, 0, STOP_POLL_MS);
}

int seize_wait4(pid_t tid, int *ret_status)
{
	while (wait4(tid, ret_status, __WALL, NULL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}
