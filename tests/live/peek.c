/*
 * peek PID...: everything that can be learnt about these tasks, one `PID KEY<TAB>VALUE` per line.
 *
 * For the same processes at two times: numbers of the kernel's own (inodes, ids) are shown as they
 * are.  Each thread is stopped by ptrace for a moment, for its registers, extended state, queued
 * signals, robust list and rseq area; anonymous memory is shown as a checksum of each page that is
 * not all zeroes.  What a thread's registers say of a system call that the stop interrupted is left
 * out, and so are counters, and times that pass.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

enum { PAGE = 4096, ROOM = 1 << 20, MOST_SHARED = 4 << 20, RSEQ_SIZE = 32, SYSCALL_LEN = 2 };

#define NO_CALL UINT64_MAX /* orig_rax of a task that is in none */

struct thread {
	pid_t pid, tid;
	int status; /* of the stop; -1: not ours */
	struct __ptrace_rseq_configuration rseq;
};

static struct thread *threads;
static size_t n_threads;
static char text[ROOM];

static void show(pid_t pid, const char *key, const char *value)
{
	printf("%d %s\t", pid, key);
	for (; *value; value++)
		if (*value == '\n')
			fputs("\\n", stdout);
		else
			putchar(*value);
	putchar('\n');
}

static ssize_t slurp(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0, got;
	if (fd < 0)
		return -1;
	while (n < ROOM - 1 && (got = read(fd, text + n, (size_t)(ROOM - 1 - n))) > 0)
		n += got;
	close(fd);
	for (ssize_t i = 0; i < n; i++)
		if (!text[i])
			text[i] = '\1';
	text[n] = 0;
	return n;
}

static uint64_t checksum(const void *data, size_t len)
{
	const uint64_t *p = data;
	uint64_t h = 0x9e3779b97f4a7c15ULL;
	for (size_t i = 0; i < len / 8; i++) {
		h = (h ^ p[i]) * 0xbf58476d1ce4e5b9ULL;
		h ^= h >> 29;
	}
	return h;
}

/* --- what /proc says --- */

static bool starts_with_one_of(const char *line, const char *const *list)
{
	for (; *list; list++)
		if (!strncmp(line, *list, strlen(*list)))
			return true;
	return false;
}

static void show_lines(pid_t pid, const char *key, const char *path, const char *const *without)
{
	char *rest = text, name[320];
	int n = 0;
	if (slurp(path) < 0)
		return;
	for (char *line; (line = strsep(&rest, "\n"));) {
		if (!*line || starts_with_one_of(line, without))
			continue;
		snprintf(name, sizeof(name), "%s %d", key, n++);
		show(pid, name, line);
	}
}

/* Counters and times, by their number in proc_pid_stat(5). */
static bool is_stable(int field)
{
	return field == 3 || (field >= 4 && field <= 9) || (field >= 18 && field <= 20) ||
	       field == 22 || field == 23 || (field >= 25 && field <= 28) || field == 38 ||
	       field == 40 || field == 41 || field >= 45;
}

static void show_stat(pid_t pid, pid_t tid)
{
	char path[64], key[64], out[1024] = "";
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	snprintf(key, sizeof(key), "thread %d stat", tid);
	if (slurp(path) < 0 || !strrchr(text, ')'))
		return;
	char *rest = strrchr(text, ')') + 2;
	for (int field = 3; rest; field++) {
		char *word = strsep(&rest, " \n");
		if (field == 3 && !strchr("TtZX", *word))
			word = "alive";
		if (is_stable(field) && strlen(out) < 900) {
			strcat(out, " ");
			strcat(out, word);
		}
	}
	show(pid, key, out);
}

static void show_thread(pid_t pid, pid_t tid)
{
	static const char *const without[] = {
		"Vm", "Rss", "State", "voluntary", "nonvoluntary", "HugetlbPages", "SigQ", NULL};
	char path[64], key[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	snprintf(key, sizeof(key), "thread %d status", tid);
	show_lines(pid, key, path, without);
	show_stat(pid, tid);
}

static void show_links(pid_t pid)
{
	static const char *const names[] = {"exe", "cwd", "root", "ns/mnt", "ns/net", "ns/pid",
		"ns/ipc", "ns/uts", "ns/user", "ns/cgroup", "ns/time"};
	char path[64], target[4096];
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, names[i]);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = 0;
		show(pid, names[i], target);
	}
}

static void show_files(pid_t pid)
{
	static const char *const whole[] = {"cmdline", "environ", "auxv", "limits", "personality",
		"oom_score_adj", "loginuid", "timerslack_ns", "cgroup", "timers", "coredump_filter",
		"attr/current", "autogroup", "uid_map", "mountinfo"};
	static const char *const volatile_flags[] = {
		"Size:", "KernelPageSize:", "MMUPageSize:", "Rss:", "Pss", "Shared_", "Private_",
		"Referenced:", "Anonymous:", "KSM:", "LazyFree:", "AnonHuge", "ShmemPmd", "FilePmd",
		"Swap", "Locked:", "THPeligible:", "ProtectionKey:", NULL};
	char path[64];
	for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, whole[i]);
		if (slurp(path) >= 0)
			show(pid, whole[i], text);
	}
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	show_lines(pid, "map", path, volatile_flags);
}

static void show_fds(pid_t pid)
{
	static const char *const without[] = {"it_value:", "ticks:", NULL};
	char path[320], target[4096], key[300];
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (*e->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = 0;
		snprintf(key, sizeof(key), "fd %s", e->d_name);
		show(pid, key, target);
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, e->d_name);
		show_lines(pid, key, path, without);
	}
	closedir(d);
}

/* --- what only ptrace shows --- */

/* Whichever comes first: the end of a leader is only reported when its threads are reaped. */
static void wait_for_stops(void)
{
	size_t left = 0;
	for (size_t i = 0; i < n_threads; i++)
		left += threads[i].status >= 0;
	while (left) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR)
			continue;
		for (size_t i = 0; i < n_threads; i++) {
			struct thread *t = &threads[i];
			if (t->status || (tid >= 0 && t->tid != tid))
				continue;
			t->status = tid >= 0 && WIFSTOPPED(status) ? status : -1;
			left--;
		}
	}
}

static void stop_all(void)
{
	for (size_t i = 0; i < n_threads; i++) {
		struct thread *t = &threads[i];
		t->status = ptrace(PTRACE_SEIZE, t->tid, 0, 0) < 0 ? -1 : 0;
		if (!t->status)
			ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
	}
	wait_for_stops();
}

/* A signal that came instead of our stop is given back. */
static void let_go(void)
{
	for (size_t i = 0; i < n_threads; i++)
		if (threads[i].status >= 0)
			ptrace(PTRACE_DETACH, threads[i].tid, 0,
				threads[i].status >> 16 ? 0L : (long)WSTOPSIG(threads[i].status));
}

static void show_registers(const struct thread *t)
{
	struct user_regs_struct r;
	struct iovec iov = {&r, sizeof(r)};
	char key[64], out[600];
	if (ptrace(PTRACE_GETREGSET, t->tid, NT_PRSTATUS, &iov) < 0)
		return;
	long call = (long)r.orig_rax, result = (long)r.rax;
	bool naps =
		call == SYS_nanosleep || call == SYS_clock_nanosleep || call == SYS_restart_syscall;
	if (call >= 0 && !naps && result <= -512 && result >= -514) {
		/* made again: as well it may stand at the call */
		r.rip -= SYSCALL_LEN;
		r.rax = r.orig_rax;
		r.orig_rax = NO_CALL;
	} else if (call >= 0 && ((result <= -512 && result >= -516) || (naps && !result))) {
		r.orig_rax = r.rax = 0;
	}
	snprintf(out, sizeof(out),
		"ip %llx sp %llx bp %llx ax %llx/%llx bx %llx cx %llx dx %llx si %llx di %llx r8 "
		"%llx %llx %llx %llx %llx %llx %llx %llx flags %llx fs %llx gs %llx seg %llx %llx "
		"%llx %llx %llx %llx",
		r.rip, r.rsp, r.rbp, r.rax, r.orig_rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.r8,
		r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.eflags, r.fs_base, r.gs_base,
		r.cs, r.ss, r.ds, r.es, r.fs, r.gs);
	snprintf(key, sizeof(key), "thread %d registers", t->tid);
	show(t->pid, key, out);
}

/* Without the header, which says only what is not at its initial value. */
static void show_xstate(const struct thread *t)
{
	static uint64_t area[2048];
	struct iovec iov = {area, sizeof(area)};
	char key[64], out[64];
	if (ptrace(PTRACE_GETREGSET, t->tid, NT_X86_XSTATE, &iov) < 0)
		return;
	memset((char *)area + 512, 0, 64);
	snprintf(out, sizeof(out), "%zu bytes %016llx", iov.iov_len,
		(unsigned long long)checksum(area, iov.iov_len));
	snprintf(key, sizeof(key), "thread %d xstate", t->tid);
	show(t->pid, key, out);
}

static void show_queue(const struct thread *t, int flags)
{
	siginfo_t info[16];
	struct __ptrace_peeksiginfo_args args = {.flags = (unsigned)flags, .nr = 16};
	char key[64], out[128];
	long n = ptrace(PTRACE_PEEKSIGINFO, t->tid, &args, info);
	for (long i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "thread %d %s signal %ld", t->tid,
			flags ? "shared" : "own", i);
		snprintf(out, sizeof(out), "%d code %d value %016llx", info[i].si_signo,
			info[i].si_code, (unsigned long long)checksum(&info[i], 48));
		show(t->pid, key, out);
	}
}

static void show_stopped(struct thread *t)
{
	void *head = NULL;
	size_t len = 0;
	char key[64], out[128];
	show_registers(t);
	show_xstate(t);
	show_queue(t, 0);
	if (t->pid == t->tid)
		show_queue(t, PTRACE_PEEKSIGINFO_SHARED);
	syscall(SYS_get_robust_list, t->tid, &head, &len);
	ptrace(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, sizeof(t->rseq), &t->rseq);
	snprintf(out, sizeof(out), "robust %p rseq %llx %x", head,
		(unsigned long long)t->rseq.rseq_abi_pointer, t->rseq.signature);
	snprintf(key, sizeof(key), "thread %d areas", t->tid);
	show(t->pid, key, out);
}

/* --- memory --- */

/* The kernel writes the number of the CPU there. */
static void clear_rseq(pid_t pid, uint64_t address, char *page)
{
	for (size_t i = 0; i < n_threads; i++) {
		uint64_t at = threads[i].pid == pid ? threads[i].rseq.rseq_abi_pointer : 0;
		if (at >= address && at + RSEQ_SIZE <= address + PAGE)
			memset(page + (at - address), 0, RSEQ_SIZE);
	}
}

static void show_page(pid_t pid, int mem, uint64_t address)
{
	static const char zeroes[PAGE];
	char page[PAGE], key[64], out[32];
	if (pread(mem, page, PAGE, (off_t)address) != PAGE)
		return;
	clear_rseq(pid, address, page);
	if (!memcmp(page, zeroes, PAGE))
		return;
	snprintf(key, sizeof(key), "page %llx", (unsigned long long)address);
	snprintf(out, sizeof(out), "%016llx", (unsigned long long)checksum(page, PAGE));
	show(pid, key, out);
}

/* Private: what is there and not of a file. Shared anonymous: all of it. */
static void show_range(pid_t pid, int mem, int pagemap, uint64_t start, uint64_t end, bool shared)
{
	static uint64_t entries[4096];
	while (start < end) {
		size_t n = (end - start) / PAGE;
		n = n < 4096 ? n : 4096;
		if (!shared && pread(pagemap, entries, n * 8, (off_t)(start / PAGE * 8)) <= 0)
			return;
		for (size_t i = 0; i < n; i++)
			if (shared || (entries[i] >> 62 && !(entries[i] >> 61 & 1)))
				show_page(pid, mem, start + i * PAGE);
		start += n * PAGE;
	}
}

static void show_memory(pid_t pid)
{
	char path[64], *rest = text;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	int pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	if (mem < 0 || pagemap < 0 || slurp(path) < 0)
		return;
	for (char *line; (line = strsep(&rest, "\n")) && *line;) {
		unsigned long long start, end;
		char perms[8];
		int at = 0;
		if (sscanf(line, "%llx-%llx %7s %*s %*s %*s %n", &start, &end, perms, &at) != 3)
			continue;
		bool shared = perms[3] == 's';
		bool anonymous = strstr(line, "(deleted)") || strstr(line, "/SYSV");
		if (!strncmp(line + at, "[v", 2) || strstr(line, "io_uring") ||
			(shared && (!anonymous || end - start > MOST_SHARED)))
			continue;
		show_range(pid, mem, pagemap, start, end, shared);
	}
	close(mem);
	close(pagemap);
}

/* --- */

static void find_threads(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *d = opendir(path);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (*e->d_name == '.')
			continue;
		threads = realloc(threads, (n_threads + 1) * sizeof(*threads));
		if (!threads)
			exit(1);
		threads[n_threads++] =
			(struct thread){.pid = pid, .tid = atoi(e->d_name), .status = -1};
	}
	closedir(d);
}

int main(int argc, char **argv)
{
	static char buffer[1 << 16];
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	for (int i = 1; i < argc; i++)
		find_threads(atoi(argv[i]));
	for (size_t i = 0; i < n_threads; i++)
		show_thread(threads[i].pid, threads[i].tid);
	for (int i = 1; i < argc; i++) {
		show_links(atoi(argv[i]));
		show_files(atoi(argv[i]));
		show_fds(atoi(argv[i]));
	}
	stop_all();
	for (size_t i = 0; i < n_threads; i++)
		if (threads[i].status >= 0)
			show_stopped(&threads[i]);
	for (int i = 1; i < argc; i++)
		show_memory(atoi(argv[i]));
	let_go();
	return 0;
}
