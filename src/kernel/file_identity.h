/* Which open file each descriptor of a task has, for all at once. */
#ifndef FERMATA_KERNEL_FILE_IDENTITY_H
#define FERMATA_KERNEL_FILE_IDENTITY_H

#include <stdint.h>

#include "base/arena.h"

/*
 * Two with the same file have the same open file, as long as neither is closed; never 0. Two of the
 * same dentry and mount have the same path and inode.
 */
struct file_identity {
	uint64_t file, fd;
	uint64_t dentry, mount;
	uint64_t owner; /* 0: F_SETOWN, F_SETSIG and the like were never used on it */
};

typedef VEC(struct file_identity) file_identity_vec;

/*
 * Ascending by fd.  A negative errno, without a failure record, if the kernel does not tell (see
 * bpf_iter_open()).  Costs about a millisecond, and 0.2 us for each descriptor.
 */
int file_identities_read(struct arena *a, int pidfd, file_identity_vec *ret);

#endif
