/*
 * A table of descriptors read by a BPF iterator (Documentation/bpf/bpf_iterators.rst).
 *
 * kcmp(2) orders two open files at a time, so telling n apart takes n log n calls: a quarter of a
 * million for 20,000.  The iterator "task_file" runs a program of ours for each descriptor of a
 * task; it writes down the number and where the kernel has the open file.  Programs, links and
 * iterators are descriptors of ours and nobody else notices them.
 *
 * The iterator is an attachment point, a function that the kernel describes in its BTF.
 */
#include "kernel/file_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/btf.h"

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));
	return r < 0 ? -errno : (int)r;
}

/* Linux before 6.16 cannot map it. */
static uint32_t find_in_copy(int fd, size_t len, const char *name)
{
	_cleanup_free_ char *text = malloc(len);
	size_t have = 0;
	for (ssize_t n = 1; text && have < len && n > 0; have += (size_t)n) {
		n = read(fd, text + have, len - have);
		if (n < 0)
			return 0;
	}
	return text ? btf_find_function(text, have, name) : 0;
}

static uint32_t find_attachment(const char *name)
{
	struct stat st;
	_cleanup_close_ int fd = open(KERNEL_BTF, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return 0;
	size_t len = (size_t)st.st_size;
	void *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return find_in_copy(fd, len, name);
	uint32_t id = btf_find_function(data, len, name);
	munmap(data, len);
	return id;
}

/* struct bpf_iter__task_file, and the first member of struct bpf_iter_meta: part of the ABI. */
enum { CTX_META = 0, META_SEQ = 0, CTX_FD = 16, CTX_FILE = 24 };

#define INSN(op, to, from, offset, number)                                                         \
	{                                                                                          \
		.code = (op), .dst_reg = (to), .src_reg = (from), .off = (offset), .imm = (number) \
	}

/* if (ctx->file) bpf_seq_write(ctx->meta->seq, &(struct file_identity){file, fd}, 16) */
static const struct bpf_insn program[] = {
	INSN(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_2, BPF_REG_1, CTX_FILE, 0),
	INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 9, 0), /* the end comes without a file */
	INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, BPF_REG_1, CTX_FD, 0),
	INSN(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_2, -16, 0),
	INSN(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_3, -8, 0),
	INSN(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_1, CTX_META, 0),
	INSN(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_1, META_SEQ, 0),
	INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
	INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -16),
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, 16),
	INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_seq_write),
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
	INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
};

static int load_program(void)
{
	uint32_t id = find_attachment("bpf_iter_task_file");
	if (!id)
		return -ENOENT;
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_TRACING,
		.expected_attach_type = BPF_TRACE_ITER,
		.insns = (uintptr_t)program,
		.insn_cnt = sizeof(program) / sizeof(*program),
		.license =
			(uintptr_t) "Dual MIT/GPL", /* of these few lines; the helper asks for it */
		.attach_btf_id = id,
	};
	return sys_bpf(BPF_PROG_LOAD, &attr);
}

/*
 * By pidfd, not by number: that has a place in the union which kernels that iterate over all tasks
 * (before 6.1) do not know, and so they refuse.
 */
static int open_iterator(int pidfd)
{
	_cleanup_close_ int prog = load_program();
	if (prog < 0)
		return prog;
	union bpf_iter_link_info of_task = {.task = {.pid_fd = (uint32_t)pidfd}};
	union bpf_attr attr = {.link_create = {.prog_fd = (uint32_t)prog,
				       .attach_type = BPF_TRACE_ITER,
				       .iter_info = (uintptr_t)&of_task,
				       .iter_info_len = sizeof(of_task)}};
	_cleanup_close_ int link = sys_bpf(BPF_LINK_CREATE, &attr);
	if (link < 0)
		return link;
	attr = (union bpf_attr){.iter_create = {.link_fd = (uint32_t)link}};
	return sys_bpf(BPF_ITER_CREATE, &attr);
}

int file_identities_read(struct arena *a, int pidfd, file_identity_vec *ret)
{
	struct file_identity some[512];
	ret->n = 0;
	_cleanup_close_ int fd = open_iterator(pidfd);
	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n = read(fd, some, sizeof(some));
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (!n)
			return 0;
		for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*some); i++) {
			if (ret->n && some[i].fd <= ret->v[ret->n - 1].fd)
				return -ENOTSUP; /* threads with tables of their own */
			*vec_push(a, ret) = some[i];
		}
	}
}
