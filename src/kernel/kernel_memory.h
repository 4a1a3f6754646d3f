/*
 * Reading the kernel's own memory: for state that no interface tells.
 *
 * A BPF program copies what it is asked for into a page that is shared with us; BTF says where the
 * members of structures are.  It can read only, and a wrong address is an error.  What is read
 * must hold still: objects of tasks that are stopped do.
 *
 * It takes Linux 5.14 with BTF, CAP_BPF and CAP_PERFMON, and no lockdown.
 */
#ifndef FERMATA_KERNEL_KERNEL_MEMORY_H
#define FERMATA_KERNEL_KERNEL_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct kernel_window;

struct kernel_memory {
	int map, program; /* -1: closed */
	struct kernel_window *window;
};

#define KERNEL_MEMORY_NONE   \
	{                    \
		-1, -1, NULL \
	}
#define _cleanup_kernel_memory_ _cleanup_(kernel_memory_close)

/* 0 or a negative errno without a failure record: this kernel does not allow it. */
int kernel_memory_open(struct kernel_memory *ret);
void kernel_memory_close(struct kernel_memory *k);
int kernel_memory_read(struct kernel_memory *k, uint64_t addr, void *ret, size_t len);
/* Where the struct task_struct of the caller is. */
int kernel_memory_current_task(struct kernel_memory *k, uint64_t *ret);

struct kernel_member {
	const char *structure, *member;
};

/* Offsets in bytes of n members. -ENOENT: this kernel does not have all of them. */
int kernel_members_find(const struct kernel_member *members, size_t n, int *ret);

#endif
