/*
 * Tasks that change although they are stopped.
 *
 * While a process is being stopped, a thread of it that still runs may call execve(): then it takes
 * the place of the leader, whose registers were read.  Or it ends the process, or another task
 * kills it.  Nobody is told: the leader is just no longer the one that was stopped, or is dying.
 * Such a task is let go with all that is below it, and looked for anew, where it is by then: in the
 * list of its parent's children, or in that of who adopted its own.
 *
 * When all tasks are stopped and none has changed, only a SIGKILL from outside can change one.
 */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/share.h"
#include "dump/candidate.h"

/* Its only stop was waited for: there is nothing more to hear of it. */
bool dump_leader_changed(const struct task *t)
{
	siginfo_t info = {0};
	int r = waitid(P_PID, (id_t)t->pid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL);
	return r < 0 || info.si_pid != 0;
}

struct search {
	const struct tree *tree;
	struct task *found[LANES_MAX];
};

static int find_mine(struct session *s, void *arg, unsigned lane)
{
	struct search *f = arg;
	(void)s;
	vec_for_each (&f->tree->tasks, it) {
		struct task *t = *it;
		uint64_t mask;
		if (!task_lives(t) || leader(t)->lane != lane)
			continue;
		/* whom a fatal signal has reached is not in a stop any more */
		bool gone = ptrace(PTRACE_GETSIGMASK, t->pid, sizeof(mask), &mask) < 0;
		if (!gone && !dump_leader_changed(t))
			continue;
		f->found[lane] = t;
		break;
	}
	return 0;
}

int dump_find_changed(struct session *s, const struct tree *tree, struct task **ret)
{
	struct search f = {.tree = tree};
	int r = lanes_run(s, find_mine, &f);
	*ret = f.found[0] ? f.found[0] : f.found[1];
	return r;
}

/*
 * Whatever it is by now: stopped, dying, or running, for it was seized under the number that it had
 * before its execve().  A stop that nobody has waited for may be that of a signal, which is its own.
 */
void dump_let_go(pid_t tid)
{
	int flags = WNOHANG;
	for (;;) {
		int status, signo = 0;
		pid_t got = wait4(tid, &status, __WALL | flags, NULL);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || (got > 0 && !WIFSTOPPED(status)))
			return;
		if (got > 0 && status >> 16 == 0)
			signo = WSTOPSIG(status);
		if (ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)signo) >= 0)
			return;
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
		flags = 0;
	}
}

static void let_threads_go(const struct task *t, unsigned lane)
{
	/* the end of a leader is told of when the others are gone */
	for (size_t i = t->threads.n; i-- > 0;)
		if (t->threads.v[i]->seized && t->threads.v[i]->lane == lane)
			dump_let_go(t->threads.v[i]->tid);
	vec_for_each (&t->children, c)
		let_threads_go(*c, lane);
}

static int let_mine_go(struct session *s, void *arg, unsigned lane)
{
	(void)s;
	let_threads_go(arg, lane);
	return 0;
}

static bool is_below(const struct task *t, const struct task *top)
{
	for (; t; t = t->parent)
		if (t == top)
			return true;
	return false;
}

/* Out of the list of its parent's children. */
static void unlink_task(const struct task *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->parent->children.n; i++)
		if (t->parent->children.v[i] != t)
			t->parent->children.v[n++] = t->parent->children.v[i];
	t->parent->children.n = n;
}

int dump_forget(struct session *s, struct tree *tree, struct task *t)
{
	log_info(s, "pid %d changed while it was being stopped; it is stopped again", t->pid);
	int r = lanes_run(s, let_mine_go, t);
	size_t n = 0;
	for (size_t i = 0; i < tree->tasks.n; i++)
		if (!is_below(tree->tasks.v[i], t))
			tree->tasks.v[n++] = tree->tasks.v[i];
	tree->tasks.n = n;
	tree->by_vpid = (struct id_map){0};
	vec_for_each (&tree->tasks, it)
		id_map_put(&s->arena, &tree->by_vpid, (uint64_t)(*it)->vpid, *it);
	if (t->parent)
		unlink_task(t);
	else
		tree->root = NULL;
	return r;
}
