/*
 * What a dump would have to ask files of /proc and kcmp(2) about each thread, of all threads in one
 * read, by a BPF iterator.
 *
 * Every member is what such a file prints or such a call compares, and nothing that would have to
 * be interpreted; who needs more than that, or finds no record, reads the file.
 */
#ifndef FERMATA_KERNEL_TASK_RECORDS_H
#define FERMATA_KERNEL_TASK_RECORDS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"

/* Where a path leads: the same two, the same file under the same name. */
struct path_record {
	uint64_t mount, dentry;
};

struct task_record {
	uint64_t tid;			  /* as this process sees it */
	uint64_t pid_ns_level;		  /* the same of two: they are in the same PID namespace */
	uint64_t mm, files, fs, sighand;  /* addresses of objects, as kcmp(2) compares them */
	uint64_t nsproxy, creds, user_ns; /* likewise; creds: what status shows */
	uint64_t cgroups; /* all of them; 1: the kernel has none */
	uint64_t sig_pnd, seccomp;	  /* SigPnd and Seccomp of status */
	uint64_t shadow_stack;	/* x86_Thread_features of status, or 1 if the kernel has none */
	uint64_t posix_timers;	/* 0: timers is empty; else it may be */
	uint64_t oom_score_adj; /* the low 16 bits, signed */
	uint64_t loginuid;	/* as the initial user namespace sees it */
	struct path_record exe, root, cwd;
};

typedef VEC(struct task_record) task_record_vec;

/*
 * A program to be given to task_records_read() and then closed; or a negative errno, without a
 * failure record: see bpf_iter_open(). Takes about two milliseconds.
 */
int task_records_open(void);

/*
 * Of all threads that this process traces, and its children. They should be stopped, for else a
 * record is old at once. 0 or a negative errno, without a failure record.
 */
int task_records_read(struct arena *a, int program, task_record_vec *ret);

/* NULL: there is none. */
const struct task_record *task_record_find(const task_record_vec *v, pid_t tid);

#endif
