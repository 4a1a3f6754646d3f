/* /proc/PID/status and /proc/PID/task/TID/status. */
#ifndef FERMATA_KERNEL_PROC_STATUS_H
#define FERMATA_KERNEL_PROC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"

struct session;

enum { PROC_PIDNS_MAX = 33 }; /* MAX_PID_NS_LEVEL + 1 */

struct proc_status {
	char state; /* R S D T t Z X I */
	int umask;  /* -1 for a zombie, and before Linux 4.7 */
	pid_t tgid, pid, ppid, tracer;
	/* From the pid namespace of the proc mount inwards; the last one is the task's own. */
	pid_t nspid[PROC_PIDNS_MAX];
	int n_nspid;
	/* Real, effective, saved, filesystem; as seen in the reader's user namespace. */
	uint32_t uid[4], gid[4];
	VEC(uint32_t) groups;
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	int no_new_privs;
	int seccomp;	     /* 0 none, 1 strict, 2 filter */
	int seccomp_filters; /* -1 before Linux 5.9 */
	bool shadow_stack;   /* of CET; Linux 6.6 on x86 */
	bool tells_features; /* the kernel has a line for it */
	int fd_size;	     /* of the table of descriptors: numbers are below; 0 for a zombie */
	int threads;	     /* 0 for a zombie without threads left */
	int kthread;	     /* -1 before Linux 6.8: see proc_is_kthread() */
	uint64_t sig_pnd, shd_pnd, sig_blk, sig_ign, sig_cgt; /* bit n-1 = signal n */
};

/* Unknown lines are skipped. -EINVAL if a known line is garbled or State/Pid/PPid are missing. */
int proc_status_parse(struct arena *a, const char *text, size_t len, struct proc_status *ret);

/* -ENOENT/-ESRCH when the task is gone, not recorded. */
int proc_status_read(struct session *s, pid_t pid, struct proc_status *ret);
int proc_status_read_tid(struct session *s, pid_t pid, pid_t tid, struct proc_status *ret);

#endif
