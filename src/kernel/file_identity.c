/*
 * A table of descriptors read by a BPF iterator.
 *
 * kcmp(2) orders two open files at a time, so telling n apart takes n log n calls: a quarter of a
 * million for 20,000.  The iterator "task_file" runs our program for each descriptor of a task; it
 * writes down the number and where the kernel has the open file and what belongs to it.
 */
#include "kernel/file_identity.h"

#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/bpf_iter.h"

/* What struct bpf_iter__task_file has after the task. */
enum { CTX_FD = BPF_CTX_ITEM, CTX_FILE = BPF_CTX_ITEM + 8 };

/* if (ctx->file) write((struct file_identity){ctx->file, ctx->fd, ...}) */
static const struct bpf_insn insns[] = {
	BPF_LOAD(BPF_DW, BPF_REG_2, BPF_REG_1, CTX_FILE),
	BPF_INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 15, 0), /* the end comes without a file */
	BPF_LOAD(BPF_W, BPF_REG_3, BPF_REG_1, CTX_FD),
	BPF_STORE(BPF_REG_10, -40, BPF_REG_2),
	BPF_STORE(BPF_REG_10, -32, BPF_REG_3),
	BPF_LOAD(BPF_DW, BPF_REG_3, BPF_REG_2, 0),
	BPF_STORE(BPF_REG_10, -24, BPF_REG_3),
	BPF_LOAD(BPF_DW, BPF_REG_3, BPF_REG_2, 0),
	BPF_STORE(BPF_REG_10, -16, BPF_REG_3),
	BPF_LOAD(BPF_DW, BPF_REG_3, BPF_REG_2, 0),
	BPF_STORE(BPF_REG_10, -8, BPF_REG_3),
	BPF_WRITE_AND_END(40),
};

/* The owner is a pointer since Linux 6.12. */
static const struct bpf_member members[] = {
	{5, "file", "f_path", "path", "dentry"},
	{7, "file", "f_path", "path", "mnt"},
	{9, "file", "f_owner", .optional_pointer = true},
};

static const struct bpf_iter iterator = {
	.attachment = "bpf_iter_task_file",
	.insns = insns,
	.n_insns = sizeof(insns) / sizeof(*insns),
	.members = members,
	.n_members = sizeof(members) / sizeof(*members),
};

int file_identities_read(struct arena *a, int pidfd, file_identity_vec *ret)
{
	struct file_identity some[512];
	ret->n = 0;
	_cleanup_close_ int fd = bpf_iter_open(&iterator, pidfd);
	if (fd < 0)
		return fd;
	ssize_t n;
	while ((n = bpf_iter_read(fd, some, sizeof(some))) > 0)
		for (size_t i = 0; i < (size_t)n / sizeof(*some); i++) {
			if (ret->n && some[i].fd <= ret->v[ret->n - 1].fd)
				return -ENOTSUP; /* threads with tables of their own */
			*vec_push(a, ret) = some[i];
		}
	return (int)n;
}
