/*
 * PIDs that the tree needs and others have.
 *
 * A task that was just killed keeps its PID until its parent reaps it, which some init processes
 * do with a delay: such are waited for, a little.
 */
#include "restore/restore_tree.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/options.h"
#include "kernel/proc_stat.h"
#include "kernel/syscalls.h"

enum {
	ZOMBIE_WAIT_MS = 3000,
	ZOMBIE_POLL_MS = 2,
};

static int refuse(struct session *s, pid_t pid)
{
	struct proc_stat stat, parent = {.comm = "?"};
	if (proc_stat_read(s, pid, &stat) < 0)
		return fail(s, EEXIST, "PID %d is taken by a thread of another process", pid);
	if (stat.state != 'Z')
		return fail_remedy(s, EEXIST, "end it, or restore in a PID namespace of its own",
			"PID %d is taken by %s", pid, stat.comm);
	proc_stat_read(s, stat.ppid, &parent);
	return fail_remedy(s, EEXIST, arena_printf(&s->arena, "let pid %d reap it", stat.ppid),
		"PID %d is taken by a zombie (%s), a child of pid %d (%s)", pid, stat.comm, stat.ppid,
		parent.comm);
}

static bool is_zombie(struct session *s, pid_t pid)
{
	struct proc_stat stat;
	return proc_stat_read(s, pid, &stat) >= 0 && stat.state == 'Z';
}

static int check_pid(struct session *s, pid_t pid, uint64_t deadline_us)
{
	while (kill(pid, 0) == 0 || errno == EPERM) {
		if (now_us() >= deadline_us || !is_zombie(s, pid)) {
			/* it may have gone between the two looks */
			return kill(pid, 0) < 0 && errno == ESRCH ? 0 : refuse(s, pid);
		}
		poll(NULL, 0, ZOMBIE_POLL_MS);
	}
	return 0;
}

/* The kernel hands out PIDs below pid_max only, also on request. */
static int raise_pid_max(struct session *s, pid_t highest)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/sys/kernel/pid_max", "r+e");
	int max;
	if (!f || fscanf(f, "%d", &max) != 1 || highest < max)
		return 0;
	rewind(f);
	if (fprintf(f, "%d", highest + 1) < 0 || fflush(f) != 0)
		return fail_remedy(s, errno, "raise kernel.pid_max",
			"PID %d is beyond the limit of this system (%d)", highest, max);
	return 0;
}

int restore_check_pids(struct restore *re)
{
	uint64_t deadline_us = now_us() + (uint64_t)ZOMBIE_WAIT_MS * 1000;
	pid_t highest = 0;
	int r = 0;
	vec_for_each(&re->tree.tasks, t) {
		vec_for_each(&(*t)->threads, th) {
			highest = (*th)->vtid > highest ? (*th)->vtid : highest;
			r = check_pid(re->s, (*th)->vtid, deadline_us);
			if (r < 0)
				return r;
		}
	}
	return re->s->opt->explain ? 0 : raise_pid_max(re->s, highest);
}
