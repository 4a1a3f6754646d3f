/*
 * CPU affinity of a thread: sched_setaffinity(2).
 *
 * Tasks move between machines, and cpusets decide there; so it is only kept, in our own image, if
 * the thread chose it: if it lacks a CPU that its cpuset has.  Where the cpuset cannot be looked up
 * (no cgroup mount), nobody can tell, and nothing is kept.  Tried at restore: the kernel leaves out
 * CPUs that it does not have, and refuses if none remains.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel/procfs.h"
#include "kernel/scan.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/extras.h"

extern const struct aspect affinity_aspect;

enum { CPUS = 8192, WORDS = CPUS / 64, LIST_MAX = 4096 /* a read gives a page at most */ };

struct cpu_mask {
	uint64_t word[WORDS];
};

static bool affinity_of(pid_t tid, struct cpu_mask *ret)
{
	*ret = (struct cpu_mask){0};
	return syscall(SYS_sched_getaffinity, tid, sizeof(*ret), ret) >= 0;
}

/* "0-3,7" */
static bool parse_list(struct scan c, struct cpu_mask *ret)
{
	*ret = (struct cpu_mask){0};
	do {
		uint64_t first, last;
		if (!scan_u64(&c, &first))
			return false;
		last = first;
		if (scan_char(&c, '-') && !scan_u64(&c, &last))
			return false;
		for (uint64_t cpu = first; cpu <= last && cpu < CPUS; cpu++)
			ret->word[cpu / 64] |= UINT64_C(1) << cpu % 64;
	} while (scan_char(&c, ','));
	return true;
}

static bool read_list(const char *path, struct cpu_mask *ret)
{
	char text[LIST_MAX];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	return n >= 0 && (size_t)n < sizeof(text) && parse_list(SCAN(text, (size_t)n), ret);
}

/* The CPUs of its cpuset, by either version of cgroups. */
static bool cpuset_of(struct session *s, pid_t pid, struct cpu_mask *ret)
{
	static const char *const patterns[] = {
		"/sys/fs/cgroup%s/cpuset.cpus.effective",
		"/sys/fs/cgroup/cpuset%s/cpuset.effective_cpus",
	};
	_cleanup_proc_buf_ struct proc_buf b = {0};
	if (proc_read_pid(s, pid, "cpuset", &b) < 0)
		return false;
	b.data[strcspn(b.data, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (read_list(arena_printf(&s->arena, patterns[i], b.data), ret))
			return true;
	return !strcmp(b.data, "/") && read_list("/sys/devices/system/cpu/online", ret);
}

static bool covers(const struct cpu_mask *a, const struct cpu_mask *b)
{
	for (size_t i = 0; i < WORDS; i++)
		if (b->word[i] & ~a->word[i])
			return false;
	return true;
}

/* Who was looked at before and most likely has the same: the leader, or the parent. */
static const struct thread *forerunner(const struct thread *t)
{
	if (t != leader(t->task))
		return leader(t->task);
	return t->task->parent && task_lives(t->task->parent) ? leader(t->task->parent) : NULL;
}

static bool is_chosen(struct session *s, const struct thread *t, const struct cpu_mask *mask)
{
	const struct thread *before = forerunner(t);
	struct cpu_mask other;
	if (before && affinity_of(before->tid, &other) && !memcmp(mask, &other, sizeof(other)))
		return before->extras && before->extras->n_cpus;
	if (read_list("/sys/devices/system/cpu/online", &other) && covers(mask, &other))
		return false;
	return cpuset_of(s, t->task->pid, &other) && !covers(mask, &other);
}

static int affinity_inspect(struct session *s, struct thread *t, void **state)
{
	(void)state;
	struct cpu_mask mask;
	if (!affinity_of(t->tid, &mask) || !is_chosen(s, t, &mask))
		return 0;
	FermataEntry *e = extras_make(s, t);
	e->cpus = arena_memdup(&s->arena, mask.word, sizeof(mask));
	for (size_t i = 0; i < WORDS; i++)
		if (mask.word[i])
			e->n_cpus = i + 1;
	return 0;
}

static int affinity_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	if (t->extras && t->extras->n_cpus)
		program_try(p, "CPU affinity", SYS_sched_setaffinity, imm(0),
			imm(t->extras->n_cpus * sizeof(uint64_t)),
			in_copy(p, t->extras->cpus, t->extras->n_cpus * sizeof(uint64_t)));
	return 0;
}

const struct aspect affinity_aspect = {
	.name = "CPU affinity",
	.inspect = affinity_inspect,
	.plan = affinity_plan,
};
