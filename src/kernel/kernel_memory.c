#include "kernel/kernel_memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/bpf.h"
#include "kernel/btf.h"

enum { CHUNK = 4096 };

/* The only value of the map. */
struct kernel_window {
	uint64_t addr, len;
	char bytes[CHUNK];
};

/*
 * if (!window->addr)
 *	window->bytes = current_task(), return 0
 * return len <= CHUNK ? probe_read_kernel(window->bytes, len, window->addr) : -EINVAL
 */
static int load_program(int map)
{
	enum {
		AT_ADDR = offsetof(struct kernel_window, addr),
		AT_LEN = offsetof(struct kernel_window, len),
		AT_BYTES = offsetof(struct kernel_window, bytes)
	};
	const struct bpf_insn insns[] = {
		BPF_INSN(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_6, BPF_PSEUDO_MAP_VALUE, 0, map),
		BPF_INSN(0, 0, 0, 0, 0),
		BPF_INSN(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_3, BPF_REG_6, AT_ADDR, 0),
		BPF_INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, 4, 0),
		BPF_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_task),
		BPF_INSN(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_0, AT_BYTES, 0),
		BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
		BPF_INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
		BPF_INSN(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_2, BPF_REG_6, AT_LEN, 0),
		BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, -EINVAL),
		BPF_INSN(BPF_JMP | BPF_JGT | BPF_K, BPF_REG_2, 0, 3, CHUNK),
		BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0),
		BPF_INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, AT_BYTES),
		BPF_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_kernel),
		BPF_INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SYSCALL,
		.prog_flags = BPF_F_SLEEPABLE,
		.insns = (uintptr_t)insns,
		.insn_cnt = sizeof(insns) / sizeof(*insns),
		.license =
			(uintptr_t) "Dual MIT/GPL", /* of these few lines; the helper asks for it */
	};
	return sys_bpf(BPF_PROG_LOAD, &attr);
}

int kernel_memory_open(struct kernel_memory *ret)
{
	_cleanup_kernel_memory_ struct kernel_memory k = KERNEL_MEMORY_NONE;
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(uint32_t),
		.value_size = sizeof(struct kernel_window),
		.max_entries = 1,
		.map_flags = BPF_F_MMAPABLE,
	};
	k.map = sys_bpf(BPF_MAP_CREATE, &attr);
	if (k.map < 0)
		return k.map;
	void *window = mmap(NULL, sizeof(*k.window), PROT_READ | PROT_WRITE, MAP_SHARED, k.map, 0);
	if (window == MAP_FAILED)
		return -errno;
	k.window = window;
	k.program = load_program(k.map);
	if (k.program < 0)
		return k.program;
	*ret = k;
	k = (struct kernel_memory)KERNEL_MEMORY_NONE;
	return 0;
}

void kernel_memory_close(struct kernel_memory *k)
{
	if (k->window)
		munmap(k->window, sizeof(*k->window));
	cleanup_close(&k->map);
	cleanup_close(&k->program);
	*k = (struct kernel_memory)KERNEL_MEMORY_NONE;
}

static int run(struct kernel_memory *k, uint64_t addr, size_t len)
{
	k->window->addr = addr;
	k->window->len = len;
	union bpf_attr attr = {.test = {.prog_fd = (uint32_t)k->program}};
	int r = sys_bpf(BPF_PROG_TEST_RUN, &attr);
	return r < 0 ? r : attr.test.retval ? -EFAULT : 0;
}

int kernel_memory_read(struct kernel_memory *k, uint64_t addr, void *ret, size_t len)
{
	for (size_t done = 0, n; done < len; done += n) {
		n = len - done < CHUNK ? len - done : CHUNK;
		int r = addr + done ? run(k, addr + done, n) : -EFAULT;
		if (r < 0)
			return r;
		memcpy((char *)ret + done, k->window->bytes, n);
	}
	return 0;
}

int kernel_memory_current_task(struct kernel_memory *k, uint64_t *ret)
{
	int r = run(k, 0, 0);
	if (r >= 0)
		memcpy(ret, k->window->bytes, sizeof(*ret));
	return r;
}

int kernel_members_find(const struct kernel_member *members, size_t n, int *ret)
{
	_cleanup_(kernel_btf_free) struct kernel_btf btf = {0};
	if (!kernel_btf_get(&btf))
		return -ENOENT;
	for (size_t i = 0; i < n; i++) {
		ret[i] =
			btf_find_member(btf.text, btf.len, members[i].structure, members[i].member);
		if (ret[i] < 0)
			return -ENOENT;
	}
	return 0;
}
