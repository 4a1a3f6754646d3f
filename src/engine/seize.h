/*
 * Stopping threads: PTRACE_SEIZE and PTRACE_INTERRUPT, and letting them go.
 *
 * A seized thread is released by the kernel when the controller dies; it then goes on where its
 * registers point (or back into its group-stop).
 */
#ifndef FERMATA_ENGINE_SEIZE_H
#define FERMATA_ENGINE_SEIZE_H

#include "base/session.h"

enum seize_result {
	SEIZED_RUNNING,  /* stopped now */
	SEIZED_STOPPED,  /* was in a group-stop; *ret_signo names the signal */
	SEIZED_ZOMBIE,   /* nothing to stop */
	SEIZED_GONE,     /* died or vanished meanwhile */
};

/*
 * Whoever waits for each stop needs no SIGCHLD to tell of it: that is a tenth of the work for a thread.
 * For the whole process; children that end are told of as before.
 */
void seize_without_sigchld(void);

/*
 * Seizes one thread and asks it to stop. Returns SEIZED_RUNNING if it will, another
 * enum seize_result if there is nothing to wait for, or a negative errno with the failure recorded
 * (foreign tracer, no permission).  To begin with many and then wait for each hides the time that
 * they take to stop.
 */
int seize_begin(struct session *s, pid_t tid);

/*
 * Waits until it is in a ptrace stop. Returns enum seize_result or a negative errno.
 * deadline_us: on now_us()'s clock, 0 = none.
 */
int seize_wait(struct session *s, pid_t tid, uint64_t deadline_us, int *ret_signo);

/* Both at once. */
static inline int seize_thread(struct session *s, pid_t tid, uint64_t deadline_us, int *ret_signo)
{
	int r = seize_begin(s, tid);
	return r == SEIZED_RUNNING ? seize_wait(s, tid, deadline_us, ret_signo) : r;
}

/*
 * After a task was let go: waits until those of its threads that live are in the group-stop that it is to
 * be left in, for whoever waits for the tool shall find it so.  Not for ever: a SIGCONT of somebody else
 * may be faster.
 */
struct task;
uint64_t seize_stop_deadline(void);
void seize_await_group_stop(struct session *s, const struct task *t, uint64_t deadline_us);

/* wait4(2) for one that is traced, or a child; a signal for us does not end it. 0, or -errno. */
int seize_wait4(pid_t tid, int *ret_status);

/* Asks for a stop, and waits for it; for a thread that was seized before and runs. */
int seize_ask(struct session *s, pid_t tid);
/* *signo: set if it is in a group-stop by then. */
int seize_await(struct session *s, pid_t tid, int *signo);

static inline int seize_interrupt(struct session *s, pid_t tid)
{
	int r = seize_ask(s, tid);
	int signo;
	return r < 0 ? r : seize_await(s, tid, &signo);
}

/* What is frozen cannot be stopped, or runs nothing when it is; frozen_by: cgroup_frozen_by(). */
int seize_fail_frozen(struct session *s, pid_t tid, const char *frozen_by);

#endif
