/*
 * The words of mm images for a VMA: status, flags and advice (spec/images-process.md 6.1, 6.2).
 */
#ifndef FERMATA_MEM_VMA_H
#define FERMATA_MEM_VMA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "mem.pb-c.h"

enum vma_status {
	VMA_REGULAR = 1 << 0, /* to be dumped and restored at all */
	VMA_STACK = 1 << 1,   /* only in old images */
	VMA_VSYSCALL = 1 << 2,
	VMA_VDSO = 1 << 3,
	VMA_HEAP = 1 << 5,
	VMA_FILE_PRIVATE = 1 << 6,
	VMA_FILE_SHARED = 1 << 7,
	VMA_ANON_SHARED = 1 << 8,
	VMA_ANON_PRIVATE = 1 << 9,
	VMA_SYSVIPC = 1 << 10,
	VMA_SOCKET = 1 << 11,
	VMA_VVAR = 1 << 12,
	VMA_AIORING = 1 << 13,
	VMA_MEMFD = 1 << 14, /* shmid is a memfd entry of files.img */
	VMA_SHSTK = 1 << 15,
	VMA_GUARD = 1 << 16, /* a MADV_GUARD_INSTALL range; behind all real VMAs in the list */
	VMA_IO_URING = 1 << 24, /* our own: shmid is an entry of files.img, made and mapped late */
	VMA_EXT_PLUGIN = 1 << 27, /* of a device that a plugin knows: vma_plugin.c */
};

/* Bits of vma_entry.flags as images have them: mmap(2) of x86, whatever the architecture. */
enum vma_map_flags {
	VMA_MAP_SHARED = 0x1,
	VMA_MAP_PRIVATE = 0x2,
	VMA_MAP_DROPPABLE = 0x8,
	VMA_MAP_ANONYMOUS = 0x20,
	VMA_MAP_GROWSDOWN = 0x100,
	VMA_MAP_LOCKED = 0x2000,
	VMA_MAP_NORESERVE = 0x4000,
	VMA_MAP_HUGETLB = 0x40000,
	VMA_MAP_HUGE_SHIFT = 26, /* log2 of the huge page size above */
};

/* Advice numbers that vma_entry.madv may carry are below this: bit n is madvise(n). */
enum { VMA_MADV_BITS = 64 };

/* Its contents are in the task's own pagemap; false for vsyscall, guards, vvar of others ... */
static inline bool vma_is_private_content(const VmaEntry *e)
{
	if (e->status & (VMA_SHSTK | VMA_AIORING))
		return true;
	if (e->status & VMA_EXT_PLUGIN)
		return false;
	return e->status & VMA_REGULAR && e->status & (VMA_ANON_PRIVATE | VMA_FILE_PRIVATE) &&
	       e->end <= ARCH_TASK_SIZE;
}

/* ... and a dump writes them: the kernel provides vvar, and droppable memory may be lost anyway. */
static inline bool vma_has_dumped_pages(const VmaEntry *e)
{
	return vma_is_private_content(e) && !(e->status & VMA_VVAR) &&
	       !(e->flags & VMA_MAP_DROPPABLE);
}

/* Backed by an open file of files.img, whose id is e->shmid. */
static inline bool vma_has_file(const VmaEntry *e)
{
	return e->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED);
}

/* Its pages may be served on demand after a restore (spec 7.1). */
static inline bool vma_may_be_lazy(const VmaEntry *e)
{
	const uint32_t wanted = VMA_MAP_ANONYMOUS | VMA_MAP_PRIVATE;
	return (e->flags & wanted) == wanted && !(e->flags & (VMA_MAP_LOCKED | VMA_MAP_HUGETLB)) &&
	       !(e->status & (VMA_VDSO | VMA_VVAR | VMA_VSYSCALL));
}

#endif
