/*
 * witness PID...: tell what only a tracer sees of the tasks, for a comparison by fidelity.py.
 *
 * The tasks are stopped already (--leave-stopped), so the tracer changes nothing: it seizes every
 * thread, reads, and lets them fall back into their stop.  It shares no code with the tool, whose
 * reading it is to check.  One line for each fact: PID, TID (0: of all the task), key, value, by
 * tabs.
 *
 * Memory is told as sums over windows of 256 KiB, so that neither the borders of mappings nor pages
 * of zeroes count.  What the kernel writes into struct rseq is left out of them.
 */
#include <cpuid.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched/types.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* <linux/fs.h> has them only from 6.7 on. */
struct region {
	uint64_t start, end, categories;
};

struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, mask, anyof_mask, return_mask;
};

#define SCAN	     _IOWR('f', 16, struct scan)
#define SCAN_FILE    (1 << 2)
#define SCAN_PRESENT (1 << 3)
#define SCAN_SWAPPED (1 << 4)
#define SCAN_PFNZERO (1 << 5)

#ifndef PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#endif

enum {
	PAGE = 4096,
	WINDOW_SHIFT = 18,
	AT_ONCE = 64, /* pages of one read */
	MAX_THREADS = 20000,
	MAX_SHARED = 64 << 20, /* bytes of one shared mapping that are looked at */
	XSTATE_SIZE = 16384,
	XSAVE_LEAF = 0xd,
	XCOMP_FIRST = 2,
	XCOMP_LAST = 20,
	XSTATE_BV = 512, /* where the header lies */
	RSEQ_CS = 8,	 /* the part of struct rseq that belongs to the program */
	RSEQ_CS_END = 20,
};

struct reader {
	int pid;
	int mem;
	uint64_t rseq[MAX_THREADS];
	uint32_t rseq_size[MAX_THREADS];
	int n_rseq;
	uint64_t window, sum; /* being added up */
};

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93ULL;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93ULL;
	return x ^ x >> 32;
}

/* 0 for zeroes only. */
static uint64_t sum_of(const void *data, size_t size)
{
	const uint64_t *p = data;
	uint64_t a = 0, any = 0;

	for (size_t i = 0; i < size / 8; i++) {
		a = (a ^ p[i]) * 0x9e3779b97f4a7c15ULL;
		a ^= a >> 29;
		any |= p[i];
	}
	return any ? a | 1 : 0;
}

static void hex(int pid, int tid, const char *key, const void *data, size_t size)
{
	const unsigned char *p = data;

	printf("%d\t%d\t%s\t", pid, tid, key);
	for (size_t i = 0; i < size; i++)
		printf("%02x", p[i]);
	putchar('\n');
}

static void number(int pid, int tid, const char *key, unsigned long long value)
{
	printf("%d\t%d\t%s\t%llx\n", pid, tid, key, value);
}

/* --- threads */

static const struct {
	const char *name;
	size_t offset;
} registers[] = {
#define R(name)                                                \
	{                                                      \
#name, offsetof(struct user_regs_struct, name) \
	}
	R(r15),
	R(r14),
	R(r13),
	R(r12),
	R(rbp),
	R(rbx),
	R(r11),
	R(r10),
	R(r9),
	R(r8),
	R(rax),
	R(rcx),
	R(rdx),
	R(rsi),
	R(rdi),
	R(orig_rax),
	R(rip),
	R(cs),
	R(eflags),
	R(rsp),
	R(ss),
	R(fs_base),
	R(gs_base),
	R(ds),
	R(es),
	R(fs),
	R(gs),
#undef R
};

/* A 32-bit task has another, shorter set: whole. */
static void general_registers(int pid, int tid)
{
	struct user_regs_struct regs;
	struct iovec iov = {&regs, sizeof(regs)};

	need(!ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov), "PTRACE_GETREGSET");
	if (iov.iov_len != sizeof(regs)) {
		hex(pid, tid, "reg all", &regs, iov.iov_len);
		return;
	}
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		char key[32];
		unsigned long long v;

		snprintf(key, sizeof(key), "reg %s", registers[i].name);
		memcpy(&v, (char *)&regs + registers[i].offset, sizeof(v));
		number(pid, tid, key, v);
	}
	for (size_t i = 0; i < 8; i++) {
		char key[32];

		snprintf(key, sizeof(key), "debug register %zu", i);
		errno = 0;
		long v = ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user, u_debugreg[i]), NULL);
		if (!errno && v)
			number(pid, tid, key, v);
	}
}

/* A component that is all zero is in its initial state, marked as such or not. */
static void fpu_registers(int pid, int tid)
{
	static _Alignas(64) unsigned char x[XSTATE_SIZE];
	struct iovec iov = {x, sizeof(x)};
	uint64_t bv;

	need(!ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov), "NT_X86_XSTATE");
	hex(pid, tid, "fpu control", x, 32);
	hex(pid, tid, "fpu st", x + 32, 128);
	hex(pid, tid, "fpu xmm", x + 160, 256);
	memcpy(&bv, x + XSTATE_BV, sizeof(bv));
	for (unsigned int i = XCOMP_FIRST; i < XCOMP_LAST; i++) {
		unsigned int size, offset, c, d;
		char key[32];

		__cpuid_count(XSAVE_LEAF, i, size, offset, c, d);
		if (!size || offset + size > iov.iov_len || !(bv >> i & 1))
			continue;
		snprintf(key, sizeof(key), "xstate %u", i);
		uint64_t sum = sum_of(x + offset, size);
		if (sum)
			number(pid, tid, key, sum);
	}
}

static void queue(int pid, int tid, int flags, const char *name)
{
	siginfo_t info[16];
	char key[48];

	for (uint64_t at = 0;;) {
		struct __ptrace_peeksiginfo_args args = {at, flags, 16};
		long n = ptrace(PTRACE_PEEKSIGINFO, tid, &args, info);

		for (long i = 0; i < n; i++) {
			snprintf(key, sizeof(key), "%s %llu", name, (unsigned long long)at + i);
			hex(pid, tid, key, &info[i], 48);
		}
		if (n < 16)
			return;
		at += n;
	}
}

static void filters(int pid, int tid)
{
	static uint64_t code[32768];
	char key[32];

	for (unsigned long i = 0;; i++) {
		struct seccomp_metadata {
			uint64_t off, flags;
		} meta = {i, 0};
		long n = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, NULL);

		if (n < 0 || n > 32768)
			return;
		ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, code);
		ptrace(PTRACE_SECCOMP_GET_METADATA, tid, sizeof(meta), &meta);
		snprintf(key, sizeof(key), "seccomp filter %lu", i);
		number(pid, tid, key, sum_of(code, n * 8) + meta.flags);
	}
}

static void rseq(struct reader *r, int tid)
{
	struct {
		uint64_t pointer;
		uint32_t size, signature, flags, pad;
	} c = {0};

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof(c), &c) < 0)
		return;
	hex(r->pid, tid, "rseq", &c, sizeof(c));
	if (c.pointer && r->n_rseq < MAX_THREADS) {
		r->rseq[r->n_rseq] = c.pointer;
		r->rseq_size[r->n_rseq++] = c.size;
	}
}

static void scheduling(int pid, int tid)
{
	struct sched_attr attr = {0};
	uint64_t cpus[128] = {0};
	void *head = NULL;
	size_t len = 0;

	syscall(SYS_sched_getattr, tid, &attr, sizeof(attr), 0);
	hex(pid, tid, "sched_getattr", &attr, sizeof(attr));
	syscall(SYS_sched_getaffinity, tid, sizeof(cpus), cpus);
	number(pid, tid, "affinity", cpus[0]);
	number(pid, tid, "io priority", syscall(SYS_ioprio_get, 1, tid));
	syscall(SYS_get_robust_list, tid, &head, &len);
	number(pid, tid, "robust list", (uintptr_t)head);
}

static void thread(struct reader *r, int tid)
{
	struct {
		uint64_t mode, selector, offset, len;
	} dispatch = {0};
	uint64_t mask = 0;

	general_registers(r->pid, tid);
	fpu_registers(r->pid, tid);
	ptrace(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask);
	number(r->pid, tid, "sigmask", mask);
	queue(r->pid, tid, 0, "queued");
	filters(r->pid, tid);
	rseq(r, tid);
	if (ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, sizeof(dispatch), &dispatch) >= 0)
		hex(r->pid, tid, "syscall user dispatch", &dispatch, sizeof(dispatch));
	scheduling(r->pid, tid);
}

/* --- memory */

static void flush(struct reader *r)
{
	char key[64];

	snprintf(key, sizeof(key), "memory %llx", (unsigned long long)r->window << WINDOW_SHIFT);
	if (r->sum)
		number(r->pid, 0, key, r->sum);
	r->sum = 0;
}

static void add(struct reader *r, uint64_t addr, uint64_t sum)
{
	if (addr >> WINDOW_SHIFT != r->window)
		flush(r);
	r->window = addr >> WINDOW_SHIFT;
	r->sum += sum ? mix(addr ^ sum) | 1 : 0;
}

static void mask_bytes(unsigned char *page, uint64_t addr, uint64_t from, uint64_t to)
{
	for (uint64_t a = from; a < to; a++)
		if (a >= addr && a < addr + PAGE)
			page[a - addr] = 0;
}

static void mask_rseq(const struct reader *r, unsigned char *page, uint64_t addr)
{
	for (int i = 0; i < r->n_rseq; i++) {
		uint64_t p = r->rseq[i];

		if (p + r->rseq_size[i] <= addr || p >= addr + PAGE)
			continue;
		mask_bytes(page, addr, p, p + RSEQ_CS);
		mask_bytes(page, addr, p + RSEQ_CS_END, p + r->rseq_size[i]);
	}
}

/* What cannot be read (guards, secrets) counts as what it is. */
static void pages(struct reader *r, uint64_t start, uint64_t end)
{
	static unsigned char buf[AT_ONCE * PAGE];

	while (start < end) {
		size_t want = end - start < sizeof(buf) ? end - start : sizeof(buf);
		ssize_t n = pread(r->mem, buf, want, (off_t)start);

		if (n < PAGE) {
			add(r, start, 0xdead);
			start += PAGE;
			continue;
		}
		for (ssize_t i = 0; i + PAGE <= n; i += PAGE) {
			mask_rseq(r, buf + i, start + i);
			add(r, start + i, sum_of(buf + i, PAGE));
		}
		start += n / PAGE * PAGE;
	}
}

/* What a private mapping has of its own. */
static void private_memory(struct reader *r, int pagemap, uint64_t start, uint64_t end)
{
	struct region found[256];
	struct scan arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)found,
		.vec_len = 256,
		.inverted = SCAN_FILE | SCAN_PFNZERO,
		.mask = SCAN_FILE | SCAN_PFNZERO,
		.anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT,
	};

	while (arg.start < end) {
		int n = ioctl(pagemap, SCAN, &arg);

		if (n < 0) {
			number(r->pid, 0, "no PAGEMAP_SCAN", errno);
			return;
		}
		for (int i = 0; i < n; i++)
			pages(r, found[i].start, found[i].end);
		arg.start = arg.walk_end;
	}
}

/* All that is in the file behind it: looked at without a look at the task's own pages. */
static void shared_memory(struct reader *r, uint64_t start, uint64_t end, uint64_t offset)
{
	static unsigned char buf[AT_ONCE * PAGE];
	char path[96];
	struct stat st;
	uint64_t sum = 0, size = end - start < MAX_SHARED ? end - start : MAX_SHARED;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", r->pid,
		(unsigned long long)start, (unsigned long long)end);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
	if (fd < 0)
		return;
	for (uint64_t at = 0; at < size;) {
		off_t data = lseek(fd, (off_t)(offset + at), SEEK_DATA);

		if (data > (off_t)(offset + at))
			at = (data - offset) / PAGE * PAGE;
		if (at >= size || (data < 0 && errno == ENXIO))
			break;
		size_t want = size - at < sizeof(buf) ? size - at : sizeof(buf);
		ssize_t n = pread(fd, buf, want, (off_t)(offset + at));
		if (n <= 0)
			break;
		memset(buf + n, 0, sizeof(buf) - n);
		for (ssize_t i = 0; i < n; i += PAGE) {
			uint64_t s = sum_of(buf + i, PAGE);
			sum += s ? mix((at + i) ^ s) : 0;
		}
		at += (n + PAGE - 1) / PAGE * PAGE;
	}
	close(fd);
	snprintf(path, sizeof(path), "shared %llx-%llx", (unsigned long long)start,
		(unsigned long long)end);
	number(r->pid, 0, path, sum);
}

static void memory(struct reader *r)
{
	char path[64], line[5000];

	snprintf(path, sizeof(path), "/proc/%d/mem", r->pid);
	r->mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", r->pid);
	int pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", r->pid);
	FILE *maps = fopen(path, "re");
	need(r->mem >= 0 && pagemap >= 0 && maps, path);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long long start, end, offset;
		char perms[8];

		if (sscanf(line, "%llx-%llx %7s %llx", &start, &end, perms, &offset) != 4 ||
			strstr(line, "[v")) /* vvar, vsyscall, vdso: the kernel's */
			continue;
		if (perms[3] == 's')
			shared_memory(r, start, end, offset);
		else
			private_memory(r, pagemap, start, end);
	}
	flush(r);
	fclose(maps);
	close(pagemap);
	close(r->mem);
}

/* --- the tree */

static int threads_of(int pid, int *tids, int max)
{
	char path[64];
	struct dirent *e;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *d = opendir(path);
	while (d && (e = readdir(d)))
		if (atoi(e->d_name) > 0 && n < max)
			tids[n++] = atoi(e->d_name);
	if (d)
		closedir(d);
	return n;
}

static void witness(int pid)
{
	static int tids[MAX_THREADS];
	static struct reader r;
	int n = threads_of(pid, tids, MAX_THREADS), held = 0;

	r = (struct reader){.pid = pid};
	for (int i = 0; i < n; i++) {
		if (ptrace(PTRACE_SEIZE, tids[i], NULL, NULL) < 0)
			continue; /* dead: a zombie, or a leader whose threads live on */
		need(!ptrace(PTRACE_INTERRUPT, tids[i], NULL, NULL), "PTRACE_INTERRUPT");
		need(waitpid(tids[i], NULL, __WALL) == tids[i], "waitpid");
		thread(&r, tids[i]);
		tids[held++] = tids[i];
	}
	if (!held)
		return;
	queue(pid, tids[0], PTRACE_PEEKSIGINFO_SHARED, "queued for all");
	memory(&r);
	for (int i = 0; i < held; i++)
		need(!ptrace(PTRACE_DETACH, tids[i], NULL, NULL), "PTRACE_DETACH");
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		witness(atoi(argv[i]));
	return 0;
}
