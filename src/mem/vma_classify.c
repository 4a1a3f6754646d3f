/*
 * One entry of smaps as a vma_entry (spec/images-process.md 6.1 to 6.3).
 *
 * Whether a mapping has a file is told by its device and inode columns; the name column is free
 * text and only decides for special mappings, which have neither.
 */
#include "mem/vma_dump.h"

#include <string.h>

#include "ipc/ipc.h"
#include "kernel/syscalls.h"
#include "mem/aio.h"

static const struct {
	const char *name;
	uint32_t prot; /* that it must have */
	uint32_t status;
} special[] = {
	{"[heap]", 0, VMA_REGULAR | VMA_HEAP},
	{"[vdso]", PROT_READ | PROT_EXEC, VMA_REGULAR | VMA_VDSO},
	{"[vvar]", PROT_READ, VMA_REGULAR | VMA_VVAR},
	{"[vvar_vclock]", PROT_READ, VMA_REGULAR | VMA_VVAR},
	{"[vsyscall]", 0, VMA_VSYSCALL},
	{"[vectors]", 0, VMA_VSYSCALL},
};

static const struct {
	uint64_t vmflag;
	uint32_t map_flag;
} map_flags[] = {
	{VMF(GD), VMA_MAP_GROWSDOWN},
	{VMF(LO), VMA_MAP_LOCKED},
	{VMF(NR), VMA_MAP_NORESERVE},
	{VMF(HT), VMA_MAP_HUGETLB},
};

static const struct {
	uint64_t vmflag;
	int advice;
} advices[] = {
	{VMF(SR), MADV_SEQUENTIAL},
	{VMF(RR), MADV_RANDOM},
	{VMF(DC), MADV_DONTFORK},
	{VMF(MG), MADV_MERGEABLE},
	{VMF(HG), MADV_HUGEPAGE},
	{VMF(NH), MADV_NOHUGEPAGE},
	{VMF(DD), MADV_DONTDUMP},
	{VMF(WF), MADV_WIPEONFORK},
};

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t special_status(const struct vma_info *info)
{
	for (size_t i = 0; *info->name == '[' && i < N_ELEMENTS(special); i++)
		if (!strcmp(info->name, special[i].name) &&
			(info->prot & special[i].prot) == special[i].prot)
			return special[i].status;
	return VMA_REGULAR;
}

/* Private memory on the kernel's own hugetlbfs: no file that anybody could open. */
static bool is_anonymous_hugetlb(const struct vma_info *info)
{
	return info->vmflags & VMF(HT) && !info->shared &&
	       !strcmp(info->name, "/anon_hugepage (deleted)");
}

static uint32_t flags_of(const struct vma_info *info)
{
	uint32_t flags = info->shared ? VMA_MAP_SHARED : VMA_MAP_PRIVATE;
	if (info->vmflags & VMF(DP))
		flags = VMA_MAP_DROPPABLE;
	for (size_t i = 0; i < N_ELEMENTS(map_flags); i++)
		if (info->vmflags & map_flags[i].vmflag)
			flags |= map_flags[i].map_flag;
	if (info->vmflags & VMF(HT) && info->kernel_page_size)
		flags |= (uint32_t)__builtin_ctzll(info->kernel_page_size) << VMA_MAP_HUGE_SHIFT;
	return flags;
}

static uint64_t advice_of(const struct vma_info *info)
{
	uint64_t madv = 0;
	for (size_t i = 0; i < N_ELEMENTS(advices); i++)
		if (info->vmflags & advices[i].vmflag)
			madv |= UINT64_C(1) << advices[i].advice;
	return madv;
}

bool vma_classify(const struct vma_info *info, VmaEntry *ret)
{
	vma_entry__init(ret);
	ret->start = info->start;
	ret->end = info->end;
	ret->pgoff = info->pgoff;
	ret->prot = info->prot;
	ret->flags = flags_of(info);
	ret->madv = advice_of(info);
	ret->has_madv = ret->madv != 0;
	ret->fd = -1;
	if (shm_is_segment(info)) {
		ret->status = VMA_REGULAR | VMA_ANON_SHARED | VMA_SYSVIPC;
		ret->flags |= VMA_MAP_ANONYMOUS;
		ret->shmid = info->ino;
		return false;
	}
	if (aio_is_ring(info)) {
		ret->status = VMA_AIORING;
		ret->pgoff = 0;
		return false;
	}
	bool has_file = (info->ino || info->dev) && !is_anonymous_hugetlb(info);
	ret->status = has_file ? (uint32_t)VMA_REGULAR : special_status(info);
	if (info->vmflags & VMF(SS))
		ret->status |= VMA_SHSTK;
	if (has_file && !strcmp(info->name, "anon_inode:[io_uring]")) {
		ret->status |= VMA_IO_URING;
		ret->shmid = info->ino; /* until file/io_uring.c knows its id */
		return false;
	}
	if (has_file && info->shared && !strncmp(info->name, "socket:[", strlen("socket:["))) {
		ret->status |= VMA_SOCKET;
		ret->shmid = info->ino; /* until socket/packet_map.c knows its id */
		return false;
	}
	if (has_file) {
		ret->status |= info->shared ? VMA_FILE_SHARED : VMA_FILE_PRIVATE;
		return true;
	}
	ret->flags |= VMA_MAP_ANONYMOUS;
	ret->pgoff = 0;
	ret->status |= info->shared ? VMA_ANON_SHARED : VMA_ANON_PRIVATE;
	if (info->shared)
		ret->shmid = info->ino;
	return false;
}
