/* Threads and children of a task. */
#ifndef FERMATA_KERNEL_PROC_TASKS_H
#define FERMATA_KERNEL_PROC_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "kernel/procfs.h"

struct session;

/* Appends the numbers of "7 8 9 ". 0 or -EINVAL; what came before the fault is appended. */
int proc_children_parse(struct arena *a, const char *text, size_t len, pid_vec *out);

/*
 * All of these append to out, in the order of the kernel, and return -ENOENT/-ESRCH when the
 * task is gone.  The lists are exact only while the task is stopped.
 */
int proc_list_tids(struct session *s, pid_t pid, pid_vec *out);

/*
 * A thread of the kernel that works for io_uring: listed among those of the process, but it has no
 * life in user space, and what interrupts it cancels operations.
 */
bool proc_is_io_worker(struct session *s, pid_t tid);

/*
 * Children of these threads of pid, or of all its threads, if it is many. A thread that vanishes
 * meanwhile is skipped.
 */
int proc_list_children_of(struct session *s, pid_t pid, const pid_vec *tids, pid_vec *out);

/* Children of all threads. */
int proc_list_children(struct session *s, pid_t pid, pid_vec *out);

#endif
