/* Resource limits of any task, without the CAP_SYS_RESOURCE that prlimit(2) asks for. */
#ifndef FERMATA_KERNEL_PROC_LIMITS_H
#define FERMATA_KERNEL_PROC_LIMITS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct session;

enum { N_RLIMITS = 16 };

/* Indexed by RLIMIT_*; unlimited = UINT64_MAX. */
struct proc_limits {
	struct proc_limit {
		uint64_t cur, max;
	} limit[N_RLIMITS];
};

/* -EINVAL if any of the 16 rows is missing or garbled. */
int proc_limits_parse(const char *text, size_t len, struct proc_limits *ret);
int proc_limits_read(struct session *s, pid_t pid, struct proc_limits *ret);

#endif
