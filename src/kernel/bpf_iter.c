/*
 * Loading a program for an iterator, as its instructions and without any library.
 *
 * An iterator is an attachment point: a function that the kernel describes in its BTF.  The same
 * tells where members are that a program reads, and the kernel's verifier sees that they are of
 * the structure that is meant.
 */
#include "kernel/bpf_iter.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/btf.h"

enum { INSNS_MAX = 512 };

static bool place(const struct kernel_btf *b, const struct bpf_member *m, struct bpf_insn *insn)
{
	int (*find)(const void *, size_t, const char *, const char *) =
		m->optional_pointer ? btf_find_pointer : btf_find_member;
	int offset = find(b->text, b->len, m->structure, m->member);
	if (offset >= 0 && m->inner_structure) {
		int inner = btf_find_member(b->text, b->len, m->inner_structure, m->inner_member);
		offset = inner < 0 ? inner : offset + inner;
	}
	if (offset < 0 && m->optional_pointer) {
		*insn = (struct bpf_insn)BPF_INSN(
			BPF_ALU64 | BPF_MOV | BPF_K, insn->dst_reg, 0, 0, 1);
		return true;
	}
	insn->off = (int16_t)offset;
	return offset >= 0 && offset <= INT16_MAX;
}

int bpf_iter_load(const struct bpf_iter *it)
{
	_cleanup_(kernel_btf_free) struct kernel_btf btf = {0};
	struct bpf_insn insns[INSNS_MAX];
	if (it->n_insns > INSNS_MAX || !kernel_btf_get(&btf))
		return -ENOENT;
	memcpy(insns, it->insns, it->n_insns * sizeof(*insns));
	for (size_t i = 0; i < it->n_members; i++)
		if (!place(&btf, &it->members[i], &insns[it->members[i].insn]))
			return -ENOENT;
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_TRACING,
		.expected_attach_type = BPF_TRACE_ITER,
		.insns = (uintptr_t)insns,
		.insn_cnt = (uint32_t)it->n_insns,
		/* of these few lines; the helper asks for it */
		.license = (uintptr_t) "Dual MIT/GPL",
		.attach_btf_id = btf_find_function(btf.text, btf.len, it->attachment),
	};
	return attr.attach_btf_id ? sys_bpf(BPF_PROG_LOAD, &attr) : -ENOENT;
}

/*
 * By pidfd, not by number: that has a place in the union which kernels that iterate over all tasks
 * (before 6.1) do not know, and so they refuse.
 */
int bpf_iter_start(int program, int pidfd)
{
	union bpf_iter_link_info of_task = {.task = {.pid_fd = (uint32_t)pidfd}};
	union bpf_attr attr = {
		.link_create = {.prog_fd = (uint32_t)program, .attach_type = BPF_TRACE_ITER}};
	if (pidfd >= 0) {
		attr.link_create.iter_info = (uintptr_t)&of_task;
		attr.link_create.iter_info_len = sizeof(of_task);
	}
	_cleanup_close_ int link = sys_bpf(BPF_LINK_CREATE, &attr);
	if (link < 0)
		return link;
	attr = (union bpf_attr){.iter_create = {.link_fd = (uint32_t)link}};
	return sys_bpf(BPF_ITER_CREATE, &attr);
}

int bpf_iter_open(const struct bpf_iter *it, int pidfd)
{
	_cleanup_close_ int program = bpf_iter_load(it);
	return program < 0 ? program : bpf_iter_start(program, pidfd);
}

ssize_t bpf_iter_read(int fd, void *ret, size_t size)
{
	ssize_t n;
	do
		n = read(fd, ret, size);
	while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n < 0 ? -errno : n;
}
