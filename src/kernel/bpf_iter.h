/*
 * BPF iterators (Documentation/bpf/bpf_iterators.rst): the kernel runs a small program of ours for
 * each descriptor or mapping of a task, and what that writes is read from a descriptor.  Nobody
 * else notices it, and nothing is left of it when our descriptors are closed.
 */
#ifndef FERMATA_KERNEL_BPF_ITER_H
#define FERMATA_KERNEL_BPF_ITER_H

#include <stdbool.h>
#include <sys/types.h>

#include "kernel/bpf.h"

/*
 * A load instruction whose offset is where this kernel has a member of one of its structures, or
 * a member of that member.
 */
struct bpf_member {
	size_t insn;
	const char *structure, *member;
	const char *inner_structure, *inner_member; /* NULL: none */
	bool optional_pointer; /* 1 is loaded where this kernel has no such pointer */
};

struct bpf_iter {
	const char *attachment; /* "bpf_iter_task_file" */
	const struct bpf_insn *insns;
	size_t n_insns;
	const struct bpf_member *members;
	size_t n_members;
};

/* struct bpf_iter__NAME starts with these, and what it iterates over follows: part of the ABI. */
enum { BPF_CTX_META = 0, BPF_META_SEQ = 0, BPF_CTX_TASK = 8, BPF_CTX_ITEM = 16 };

#define BPF_LOAD(size, to, from, offset) BPF_INSN(BPF_LDX | BPF_MEM | (size), to, from, offset, 0)
#define BPF_STORE(to, offset, from)	 BPF_INSN(BPF_STX | BPF_MEM | BPF_DW, to, from, offset, 0)

/*
 * bpf_seq_write(ctx->meta->seq, r10 - size, size) and the end; 8 instructions, wants the context
 * in r1. A jump to the last two ends without writing.
 */
#define BPF_WRITE_AND_END(size)                                                     \
	BPF_LOAD(BPF_DW, BPF_REG_1, BPF_REG_1, BPF_CTX_META),                       \
		BPF_LOAD(BPF_DW, BPF_REG_1, BPF_REG_1, BPF_META_SEQ),               \
		BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0), \
		BPF_INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -(size)),    \
		BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, (size)),     \
		BPF_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_seq_write),          \
		BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),          \
		BPF_INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/*
 * A program that may be started any number of times, or a negative errno, without a failure record:
 * it takes Linux 6.1 with BTF, CAP_BPF and CAP_PERFMON.  Takes about a millisecond.
 */
int bpf_iter_load(const struct bpf_iter *it);

/*
 * A descriptor that gives what the program writes for one task with all its threads, or, with a
 * pidfd of -1, for all that this process sees; or a negative errno.
 */
int bpf_iter_start(int program, int pidfd);

/* Both at once. */
int bpf_iter_open(const struct bpf_iter *it, int pidfd);

/* Bytes of whole records, 0 at the end, or a negative errno. */
ssize_t bpf_iter_read(int fd, void *ret, size_t size);

#endif
