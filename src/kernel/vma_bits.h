/* The flags of all mappings of a task, at a tenth of what smaps costs; for proc_maps.c only. */
#ifndef FERMATA_KERNEL_VMA_BITS_H
#define FERMATA_KERNEL_VMA_BITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/proc_maps.h"

/* vm_area_struct.vm_flags, the kernel's VM_ bits. */
struct vma_bits {
	uint64_t start, end, bits;
};

typedef VEC(struct vma_bits) vma_bits_vec;

/*
 * Ascending. A negative errno, without a failure record, if the kernel does not tell
 * (see bpf_iter_load()), or a mapping has a bit that not all kernels have for the same.
 * program: of proc_flags_program(), or 0: one is loaded for this.
 */
int vma_bits_read(struct arena *a, int program, pid_t pid, vma_bits_vec *ret);

/* A program for many tasks, or a negative errno. */
int vma_bits_load(void);

/*
 * Gives vmflags to mappings that were read from maps. Those of sample were read from smaps, as far
 * as they have smaps, and are of the same task. False: they are not the same mappings with the same
 * permissions, or the words of the sample are others.
 */
bool vma_bits_apply(
	const vma_bits_vec *bits, struct vma_info *v, size_t n, const vma_info_vec *sample);

#endif
