/*
 * VmFlags of all mappings by a BPF iterator.
 *
 * No file but smaps has them, and smaps walks the page tables of each mapping. The iterator
 * "task_vma" runs our program for each, which writes down vm_flags as the kernel has it.
 *
 * VM_ bits are no ABI. Those in the table below mean the same in all kernels that have this
 * iterator for one task (6.1 to 6.18); bits that do not, or need more from smaps (the size of huge
 * pages, the protection key), are not in it, and a task with any of them is read from smaps. What
 * is told is compared with the permissions of each mapping, and all flags with smaps of the first
 * few.
 */
#include "kernel/vma_bits.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/bpf_iter.h"

/* if (ctx->vma) write((struct vma_bits){vma->vm_start, vma->vm_end, vma->vm_flags}) */
static const struct bpf_insn insns[] = {
	BPF_LOAD(BPF_DW, BPF_REG_2, BPF_REG_1, BPF_CTX_ITEM),
	BPF_INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 12, 0), /* the end comes without one */
	BPF_LOAD(BPF_DW, BPF_REG_3, BPF_REG_2, 0),
	BPF_STORE(BPF_REG_10, -24, BPF_REG_3),
	BPF_LOAD(BPF_DW, BPF_REG_3, BPF_REG_2, 0),
	BPF_STORE(BPF_REG_10, -16, BPF_REG_3),
	BPF_LOAD(BPF_DW, BPF_REG_3, BPF_REG_2, 0),
	BPF_STORE(BPF_REG_10, -8, BPF_REG_3),
	BPF_WRITE_AND_END(24),
};

static const struct bpf_member members[] = {
	{2, "vm_area_struct", "vm_start"},
	{4, "vm_area_struct", "vm_end"},
	{6, "vm_area_struct", "vm_flags"},
};

static const struct bpf_iter iterator = {
	.attachment = "bpf_iter_task_vma",
	.insns = insns,
	.n_insns = sizeof(insns) / sizeof(*insns),
	.members = members,
	.n_members = sizeof(members) / sizeof(*members),
};

/* include/linux/mm.h */
static const uint64_t words[64] = {
	[0] = VMF(RD),
	[1] = VMF(WR),
	[2] = VMF(EX),
	[3] = VMF(SH),
	[4] = VMF(MR),
	[5] = VMF(MW),
	[6] = VMF(ME),
	[7] = VMF(MS),
	[8] = VMF(GD),
	[10] = VMF(PF),
	[13] = VMF(LO),
	[14] = VMF(IO),
	[15] = VMF(SR),
	[16] = VMF(RR),
	[17] = VMF(DC),
	[18] = VMF(DE),
	[19] = VMF(LF),
	[20] = VMF(AC),
	[21] = VMF(NR),
	[25] = VMF(WF),
	[26] = VMF(DD),
	[27] = VMF(SD),
	[28] = VMF(MM),
	[29] = VMF(HG),
	[30] = VMF(NH),
	[31] = VMF(MG),
};

/* 0: there are unknown ones; all mappings have some. */
static uint64_t words_of(uint64_t bits)
{
	uint64_t all = 0;
	for (; bits; bits &= bits - 1) {
		uint64_t word = words[__builtin_ctzll(bits)];
		if (!word)
			return 0;
		all |= word;
	}
	return all;
}

static int read_records(struct arena *a, int fd, vma_bits_vec *ret)
{
	struct vma_bits some[1024];
	ssize_t n;
	while ((n = bpf_iter_read(fd, some, sizeof(some))) > 0)
		for (size_t i = 0; i < (size_t)n / sizeof(*some); i++) {
			bool again = ret->n && some[i].start < ret->v[ret->n - 1].end;
			if (again || (some[i].bits && !words_of(some[i].bits)))
				return -ENOTSUP; /* again: by a thread with descriptors of its own
						  */
			*vec_push(a, ret) = some[i];
		}
	return (int)n;
}

int vma_bits_load(void)
{
	return bpf_iter_load(&iterator);
}

int vma_bits_read(struct arena *a, int program, pid_t pid, vma_bits_vec *ret)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -errno;
	_cleanup_close_ int fd =
		program ? bpf_iter_start(program, pidfd) : bpf_iter_open(&iterator, pidfd);
	return fd < 0 ? fd : read_records(a, fd, ret);
}

static bool agree(const struct vma_bits *b, const struct vma_info *info)
{
	uint32_t prot = (b->bits & 1 ? PROT_READ : 0U) | (b->bits & 2 ? PROT_WRITE : 0U) |
			(b->bits & 4 ? PROT_EXEC : 0U);
	bool shared = b->bits & 0x80; /* VM_MAYSHARE */
	return b->start == info->start && b->end == info->end && prot == info->prot &&
	       shared == info->shared;
}

/* The one that no task has of its own, and so no iterator shows. */
static bool is_gate(const struct vma_info *info)
{
	return !strcmp(info->name, "[vsyscall]");
}

static void add_gate_flags(struct vma_info *info)
{
	info->vmflags =
		(info->prot & PROT_READ ? VMF(RD) : 0) | (info->prot & PROT_EXEC ? VMF(EX) : 0);
}

bool vma_bits_apply(
	const vma_bits_vec *bits, struct vma_info *v, size_t n, const vma_info_vec *sample)
{
	size_t n_own = n && is_gate(&v[n - 1]) ? n - 1 : n;
	if (bits->n != n_own || sample->n > n)
		return false;
	for (size_t i = 0; i < n_own; i++) {
		if (!agree(&bits->v[i], &v[i]))
			return false;
		v[i].vmflags = words_of(bits->v[i].bits);
	}
	if (n_own < n)
		add_gate_flags(&v[n_own]);
	for (size_t i = 0; i < sample->n; i++)
		if (sample->v[i].vmflags && sample->v[i].vmflags != v[i].vmflags)
			return false;
	return true;
}
