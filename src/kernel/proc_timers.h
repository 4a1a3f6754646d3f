/* POSIX timers of a task: everything but their settings, which only the task itself can read. */
#ifndef FERMATA_KERNEL_PROC_TIMERS_H
#define FERMATA_KERNEL_PROC_TIMERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"

struct session;

struct proc_timer {
	int id;
	int signo;
	uint64_t sigev_value; /* sival_ptr */
	int notify;           /* SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, or'ed SIGEV_THREAD_ID */
	pid_t notify_id;      /* tid with SIGEV_THREAD_ID, else pid; 0 = outside our namespace */
	int clock;            /* CLOCK_*, or negative: a dynamic or per-process clock */
};

typedef VEC(struct proc_timer) proc_timer_vec;

/* Appends to out. 0 or -EINVAL; complete timers before the fault are appended. */
int proc_timers_parse(struct arena *a, const char *text, size_t len, proc_timer_vec *out);

/* -ENOENT also on kernels without CONFIG_CHECKPOINT_RESTORE. */
int proc_timers_read(struct session *s, pid_t pid, proc_timer_vec *out);

#endif
