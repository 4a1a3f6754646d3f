/*
 * Locks as the kernel shows them, in /proc/locks and in fdinfo (lock_get_status(), fs/locks.c).
 *
 * /proc/locks leaves out those whose owner's pid it cannot show in its pid namespace: also a
 * flock() whose caller is dead, while others still have the file.  fdinfo shows them.
 */
#ifndef FERMATA_KERNEL_PROC_LOCKS_H
#define FERMATA_KERNEL_PROC_LOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/scan.h"

/* Bits; the first four are those of images. */
enum lock_kind {
	LOCK_POSIX = 1,
	LOCK_FLOCK = 2,
	LOCK_OFD = 4,
	LOCK_LEASE = 8,
	LOCK_OTHER = 16, /* delegations, and what is not known */
};

struct lock_info {
	enum lock_kind kind;
	int type; /* F_RDLCK, F_WRLCK, F_UNLCK; of a lease that is being broken, what remains */
	bool breaking;	    /* of leases */
	bool waiting;	    /* not held: somebody waits for it */
	pid_t pid;	    /* who set it; 0: dead or elsewhere, -1: nobody (OFD) */
	uint64_t ino;	    /* as the filesystem numbers it inside, which stat() may not show */
	int64_t start, end; /* -1: end of file */
};

/* What follows "N: " in /proc/locks, or "lock:\tN: " in fdinfo. */
bool lock_parse(struct scan *line, struct lock_info *ret);

/* "a POSIX write lock on bytes 3 to 5": for messages. buf has LOCK_TEXT bytes. */
enum { LOCK_TEXT = 96 };
const char *lock_text(const struct lock_info *l, char *buf);

#endif
