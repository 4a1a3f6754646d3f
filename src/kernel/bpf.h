/* bpf(2), and the description that the kernel gives of itself. */
#ifndef FERMATA_KERNEL_BPF_H
#define FERMATA_KERNEL_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

/* A non-negative result or a negative errno. */
int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr);

/* struct bpf_insn as an initializer. */
#define BPF_INSN(op, to, from, offset, number)                                                     \
	{                                                                                          \
		.code = (op), .dst_reg = (to), .src_reg = (from), .off = (offset), .imm = (number) \
	}

/* BTF of the kernel (btf.h), to be given back by kernel_btf_free(). */
struct kernel_btf {
	void *text;
	size_t len;
};

bool kernel_btf_get(struct kernel_btf *ret);
void kernel_btf_free(const struct kernel_btf *b);

#endif
