/* /proc/PID/stat. */
#ifndef FERMATA_KERNEL_PROC_STAT_H
#define FERMATA_KERNEL_PROC_STAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct session;

enum { PROC_COMM_MAX = 64 }; /* 15 for user tasks; kworkers show more */

struct proc_stat {
	pid_t pid, ppid, pgid, sid; /* in the pid namespace of the proc mount; 0 = outside of it */
	char comm[PROC_COMM_MAX];   /* raw: may hold any byte but NUL */
	char state;                 /* R S D T t Z X I */
	int tty_nr;                 /* new_encode_dev() of the controlling tty, 0 = none */
	int tty_pgrp;
	uint32_t flags; /* PF_* of include/linux/sched.h */
	int num_threads;
	uint64_t rss;	    /* pages in memory, roughly */
	uint64_t starttime; /* clock ticks since boot, in the reader's time namespace */
	/* Zero (start_code, end_code: 1) unless the reader may ptrace the task. */
	uint64_t start_code, end_code, start_stack;
	uint64_t start_data, end_data, start_brk;
	uint64_t arg_start, arg_end, env_start, env_end;
	int exit_signal; /* that its parent gets; -1: of a thread other than the leader */
	int exit_code; /* raw wait status of a zombie */
};

/* Returns 0 or -EINVAL; on error ret is partly filled. */
int proc_stat_parse(const char *text, size_t len, struct proc_stat *ret);

/* -ENOENT/-ESRCH when the task is gone, not recorded. */
int proc_stat_read(struct session *s, pid_t pid, struct proc_stat *ret);

/* The same from a proc mount of another pid namespace; procfd is its root directory. */
int proc_stat_read_at(struct session *s, int procfd, pid_t pid, struct proc_stat *ret);

/* Or another task that never had user memory. */
static inline bool proc_is_kthread(const struct proc_stat *stat)
{
	const uint32_t pf_kthread = 0x00200000;
	return stat->flags & pf_kthread;
}

#endif
