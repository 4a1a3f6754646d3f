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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/btf.h"

struct kernel_memory;

/* To be closed. NULL: this kernel does not allow it. */
struct kernel_memory *kernel_memory_open(void);
void kernel_memory_close(struct kernel_memory *k);

/*
 * After a failure these read nothing but zeros, until that is asked for, which clears it: whoever
 * follows pointers need not look at each.
 */
bool kernel_failed(struct kernel_memory *k);
void kernel_bytes(struct kernel_memory *k, uint64_t addr, void *ret, size_t len);
uint64_t kernel_pointer(struct kernel_memory *k, uint64_t addr);
uint32_t kernel_number(struct kernel_memory *k, uint64_t addr);
/* The open file of a descriptor of ours. */
uint64_t kernel_open_file(struct kernel_memory *k, int fd);
/* The memory that a struct page stands for. */
uint64_t kernel_page_address(struct kernel_memory *k, uint64_t page);

/* Offsets in bytes of n members. -ENOENT: this kernel does not have all of them. */
int kernel_members_find(
	struct kernel_memory *k, const struct kernel_member *members, size_t n, uint32_t *ret);

/* Where members are, by their place in such a list, and how to read them. */
struct kernel_layout {
	struct kernel_memory *memory;
	const uint32_t *offset;
};

static inline uint64_t member_pointer(
	const struct kernel_layout *l, uint64_t object, unsigned which)
{
	return kernel_pointer(l->memory, object + l->offset[which]);
}

static inline uint32_t member_number(const struct kernel_layout *l, uint64_t object, unsigned which)
{
	return kernel_number(l->memory, object + l->offset[which]);
}

#endif
