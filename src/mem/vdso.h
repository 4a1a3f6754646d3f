/*
 * The mark of a vDSO that stands in for another (spec/images-process.md 6.10).
 *
 * A task restored on a kernel with another vDSO keeps the code of its image, whose functions jump
 * to the kernel's own vDSO, parked elsewhere.  The mark overwrites the start of the parked one, so
 * that the next dump leaves that out and stores the task's own; its header stays readable.
 */
#ifndef FERMATA_MEM_VDSO_H
#define FERMATA_MEM_VDSO_H

#include <stdint.h>

struct vdso_mark {
	uint64_t signature; /* VDSO_MARK_SIGNATURE */
	uint64_t orig_vdso; /* start of the code that the task knows */
	uint64_t version;   /* VDSO_MARK_VERSION */
	uint64_t orig_vvar; /* UINT64_MAX: the task had none */
	uint64_t rt_vvar;   /* start of the kernel's data pages */
};

#define VDSO_MARK_SIGNATURE    0x4f53447655495243ull
#define VDSO_MARK_SIGNATURE_V2 0x4f53447675697263ull
#define VDSO_MARK_SIGNATURE_V1 0x6f73647675697263ull
#define VDSO_MARK_VERSION      3

#endif
