#include "kernel/kernel_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/cleanup.h"
#include "kernel/bpf.h"
#include "kernel/btf.h"

enum { CHUNK = 4096 };

enum member {
	TASK_FILES,
	FILES_TABLE,
	TABLE_ARRAY,
	FILE_PRIVATE,
	PIPE_BUFFERS,
	BUFFER_PAGE,
	N_MEMBERS
};

static const struct kernel_member members[N_MEMBERS] = {
	[TASK_FILES] = {"task_struct", "files"},
	[FILES_TABLE] = {"files_struct", "fdt"},
	[TABLE_ARRAY] = {"fdtable", "fd"},
	[FILE_PRIVATE] = {"file", "private_data"},
	[PIPE_BUFFERS] = {"pipe_inode_info", "bufs"},
	[BUFFER_PAGE] = {"pipe_buffer", "page"},
};

/* The only value of the map. */
struct kernel_window {
	uint64_t addr, len;
	char bytes[CHUNK];
};

struct kernel_memory {
	int map, program;
	struct kernel_btf btf;
	struct btf_index *index;
	struct kernel_window *window; /* NULL: not mapped */
	uint32_t offset[N_MEMBERS];
	bool failed;
	uint64_t pages; /* kernel_page_address() of page 0; 0: not known yet */
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

static int begin(struct kernel_memory *k)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(uint32_t),
		.value_size = sizeof(struct kernel_window),
		.max_entries = 1,
		.map_flags = BPF_F_MMAPABLE,
	};
	if (!kernel_btf_get(&k->btf))
		return -ENOENT;
	k->index = btf_index_make(k->btf.text, k->btf.len);
	int r = kernel_members_find(k, members, N_MEMBERS, k->offset);
	if (r >= 0)
		r = k->map = sys_bpf(BPF_MAP_CREATE, &attr);
	if (r < 0)
		return r;
	void *window =
		mmap(NULL, sizeof(*k->window), PROT_READ | PROT_WRITE, MAP_SHARED, k->map, 0);
	if (window == MAP_FAILED)
		return -errno;
	k->window = window;
	return k->program = load_program(k->map);
}

struct kernel_memory *kernel_memory_open(void)
{
	struct kernel_memory *k = malloc(sizeof(*k));
	if (!k)
		return NULL;
	*k = (struct kernel_memory){.map = -1, .program = -1};
	if (begin(k) >= 0)
		return k;
	kernel_memory_close(k);
	return NULL;
}

void kernel_memory_close(struct kernel_memory *k)
{
	if (!k)
		return;
	if (k->window)
		munmap(k->window, sizeof(*k->window));
	cleanup_close(&k->map);
	cleanup_close(&k->program);
	btf_index_free(k->index);
	kernel_btf_free(&k->btf);
	free(k);
}

static bool run(struct kernel_memory *k, uint64_t addr, size_t len)
{
	k->window->addr = addr;
	k->window->len = len;
	union bpf_attr attr = {.test = {.prog_fd = (uint32_t)k->program}};
	return sys_bpf(BPF_PROG_TEST_RUN, &attr) >= 0 && !attr.test.retval;
}

bool kernel_failed(struct kernel_memory *k)
{
	bool failed = k->failed;
	k->failed = false;
	return failed;
}

void kernel_bytes(struct kernel_memory *k, uint64_t addr, void *ret, size_t len)
{
	memset(ret, 0, len);
	for (size_t done = 0, n; done < len && !k->failed; done += n) {
		n = len - done < CHUNK ? len - done : CHUNK;
		k->failed = !addr || !run(k, addr + done, n);
		if (!k->failed)
			memcpy((char *)ret + done, k->window->bytes, n);
	}
}

uint64_t kernel_pointer(struct kernel_memory *k, uint64_t addr)
{
	uint64_t value;
	kernel_bytes(k, addr, &value, sizeof(value));
	return value;
}

uint32_t kernel_number(struct kernel_memory *k, uint64_t addr)
{
	uint32_t value;
	kernel_bytes(k, addr, &value, sizeof(value));
	return value;
}

static uint64_t current_task(struct kernel_memory *k)
{
	uint64_t task = 0;
	k->failed = k->failed || !run(k, 0, 0);
	if (!k->failed)
		memcpy(&task, k->window->bytes, sizeof(task));
	return task;
}

uint64_t kernel_open_file(struct kernel_memory *k, int fd)
{
	/* anew each time: the table moves when it grows */
	uint64_t files = kernel_pointer(k, current_task(k) + k->offset[TASK_FILES]);
	uint64_t table = kernel_pointer(k, files + k->offset[FILES_TABLE]);
	uint64_t array = kernel_pointer(k, table + k->offset[TABLE_ARRAY]);
	return kernel_pointer(k, array + (uint64_t)fd * sizeof(uint64_t));
}

/* --- pages --- */

/*
 * There is a struct page of 64 bytes for each page of memory, and both stand in rows; but where the
 * rows begin is random, and no symbol tells.  So a page of ours, in a pipe, is looked for by its
 * contents: the beginnings are multiples of 1 GiB, and other objects are in the same row.
 */
enum { PAGE_STRUCT_SIZE = 64, ROW_ALIGN = 30, STEPS_MAX = 1 << 14, WORD_LEN = 64 };

struct marked_page {
	int pipe[2];
	char word[WORD_LEN];
	uint64_t page;
};

static bool mark_page(struct kernel_memory *k, struct marked_page *m)
{
	if (getrandom(m->word, WORD_LEN, 0) != WORD_LEN || pipe2(m->pipe, O_CLOEXEC) < 0 ||
		write(m->pipe[1], m->word, WORD_LEN) != WORD_LEN)
		return false;
	uint64_t file = kernel_open_file(k, m->pipe[0]);
	uint64_t pipe = kernel_pointer(k, file + k->offset[FILE_PRIVATE]);
	uint64_t buffer = kernel_pointer(k, pipe + k->offset[PIPE_BUFFERS]);
	m->page = kernel_pointer(k, buffer + k->offset[BUFFER_PAGE]);
	return !kernel_failed(k);
}

static void unmark_page(struct marked_page *m)
{
	cleanup_close(&m->pipe[0]);
	cleanup_close(&m->pipe[1]);
}

static bool is_at(struct kernel_memory *k, const struct marked_page *m, uint64_t addr)
{
	char word[WORD_LEN];
	kernel_bytes(k, addr, word, WORD_LEN);
	return !kernel_failed(k) && memcmp(word, m->word, WORD_LEN) == 0;
}

static uint64_t distance(uint64_t page)
{
	return page * (ARCH_PAGE_SIZE / PAGE_STRUCT_SIZE);
}

/* Up and down from another address in the row of memory. */
static uint64_t look_for(struct kernel_memory *k, const struct marked_page *m, uint64_t from)
{
	const uint64_t low = distance(m->page) & ((1ul << ROW_ALIGN) - 1);
	for (uint64_t i = 0; i < STEPS_MAX; i++) {
		uint64_t step = i % 2 ? i / 2 + 1 : -(i / 2);
		uint64_t addr = ((from >> ROW_ALIGN) + step) << ROW_ALIGN | low;
		if (is_at(k, m, addr))
			return addr - distance(m->page);
	}
	return 0;
}

static uint64_t find_pages(struct kernel_memory *k)
{
	_cleanup_(unmark_page) struct marked_page a = {.pipe = {-1, -1}}, b = {.pipe = {-1, -1}};
	if (!mark_page(k, &a) || !mark_page(k, &b))
		return 0;
	uint64_t found = look_for(k, &a, kernel_open_file(k, a.pipe[0]));
	return found && is_at(k, &b, found + distance(b.page)) ? found : 0;
}

uint64_t kernel_page_address(struct kernel_memory *k, uint64_t page)
{
	if (!k->pages && !k->failed)
		k->pages = find_pages(k);
	k->failed |= !k->pages;
	return k->failed ? 0 : k->pages + distance(page);
}

/* --- members --- */

int kernel_members_find(
	struct kernel_memory *k, const struct kernel_member *wanted, size_t n, uint32_t *ret)
{
	return k->index && btf_index_find(k->index, wanted, n, ret) ? 0 : -ENOENT;
}
