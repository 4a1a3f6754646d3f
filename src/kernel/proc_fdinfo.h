/* /proc/PID/fdinfo/FD. */
#ifndef FERMATA_KERNEL_PROC_FDINFO_H
#define FERMATA_KERNEL_PROC_FDINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/procfs.h"
#include "kernel/scan.h"

struct session;

struct proc_fdinfo {
	int64_t pos;
	uint32_t flags; /* f_flags, plus O_CLOEXEC of the descriptor */
	int mnt_id;     /* -1 if not shown */
	uint64_t ino;   /* 0 before Linux 5.14 */
	/* All further lines ("lock:", "eventfd-count:", "tfd:", ...), each ending in a newline. */
	const char *extra;
	size_t extra_len;
};

/* -EINVAL unless pos and flags are there. extra is copied to the arena. */
int proc_fdinfo_parse(struct arena *a, const char *text, size_t len, struct proc_fdinfo *ret);

/* -ENOENT/-ESRCH when the task or its descriptor is gone. b is scratch space for loops over fds. */
int proc_fdinfo_read(
	struct session *s, pid_t pid, int fd, struct proc_buf *b, struct proc_fdinfo *ret);

/*
 * For type modules. Finds the next line "NAME:" at or after *c and cuts out the rest of it
 * without leading blanks; *c moves behind that line. Start with fdinfo_extra().
 */
struct scan fdinfo_extra(const struct proc_fdinfo *info);
bool fdinfo_next(struct scan *c, const char *name, struct scan *value);

/* The number after the first "NAME:", in base 8, 10 or 16 ("0x" is skipped with 16). */
bool fdinfo_number(const struct proc_fdinfo *info, const char *name, int base, uint64_t *ret);

#endif
