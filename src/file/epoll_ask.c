/*
 * Large epoll sets: is what the number leads to what was added by it?
 *
 * kcmp(KCMP_EPOLL_TFD) walks the set from its start, so proving n targets takes n * n / 2 steps
 * (0.8 s for 10,000).  EPOLL_CTL_MOD finds its target in a tree, by file and number: with the
 * events and data that the target has it changes nothing if it is there, and fails with ENOENT
 * if not.  That holds for level-triggered targets only: others would fire again.
 *
 * The number must be that of the target, so children of ours do it, whose descriptors may be
 * overwritten.  What it does not prove is left to kcmp(2).
 */
#include "file/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/syscalls.h"

/* Steps of kcmp(2) that cost less than a child. */
enum { WALK_MAX = 100000, CHILDREN = 2 };

static bool can_ask(const struct epoll_dump *set, const struct epoll_target *t)
{
	const uint32_t *n = id_map_get(&set->numbers, t->line.number);
	return !t->sure && *n == 1 && !(t->line.events & EPOLL_HOW) &&
	       t->line.events & (EPOLLERR | EPOLLHUP);
}

static uint64_t kcmp_steps(const struct epoll_dump *set, uint32_t *ret_highest)
{
	uint64_t steps = 0;
	*ret_highest = 0;
	for (size_t i = 0; i < set->targets.n; i++) {
		if (!can_ask(set, &set->targets.v[i]))
			continue;
		steps += i;
		if (set->targets.v[i].line.number > *ret_highest)
			*ret_highest = set->targets.v[i].line.number;
	}
	return steps;
}

/* In the child. */
static bool ask_one(int pidfd, int epoll, const struct epoll_target *t)
{
	int number = (int)t->line.number;
	struct epoll_event event = {.events = t->line.events, .data.u64 = t->line.data};
	int fd = sys_pidfd_getfd(pidfd, number);
	if (fd < 0)
		return false;
	if (fd != number && dup3(fd, number, O_CLOEXEC) < 0)
		return false;
	bool there = epoll_ctl(epoll, EPOLL_CTL_MOD, number, &event) == 0;
	if (fd != number)
		close(fd);
	close(number);
	return there;
}

static void ask_all(const struct epoll_dump *set, uint32_t highest, size_t first, bool *there)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	int pidfd = sys_pidfd_open(set->f->from.task->pid, 0);
	int epoll = pidfd < 0 ? -1 : sys_pidfd_getfd(pidfd, set->f->from.number);
	pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, highest + 1);
	epoll = fcntl(epoll, F_DUPFD_CLOEXEC, highest + 1);
	if (pidfd < 0 || epoll < 0 || close_range(0, highest, 0) < 0)
		return;
	for (size_t i = first; i < set->targets.n; i += CHILDREN)
		if (can_ask(set, &set->targets.v[i]))
			there[i] = ask_one(pidfd, epoll, &set->targets.v[i]);
}

void epoll_ask(struct file_dump *d, struct epoll_dump *set)
{
	uint32_t highest;
	if (kcmp_steps(set, &highest) <= WALK_MAX)
		return;
	size_t n = set->targets.n;
	bool *there = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (there == MAP_FAILED)
		return;
	pid_t children[CHILDREN];
	for (size_t k = 0; k < CHILDREN; k++) {
		children[k] = fork();
		if (children[k] == 0) {
			ask_all(set, highest, k, there);
			_exit(0);
		}
	}
	for (size_t k = 0; k < CHILDREN; k++)
		while (children[k] > 0 && waitpid(children[k], NULL, 0) < 0 && errno == EINTR)
			;
	size_t proven = 0;
	for (size_t i = 0; i < n; i++)
		if (there[i]) {
			set->targets.v[i].sure = true;
			proven++;
		}
	munmap(there, n);
	log_debug(d->s, "pid %d fd %d: %zu of %zu epoll targets are where they were added",
		set->f->from.task->vpid, set->f->from.number, proven, n);
}
