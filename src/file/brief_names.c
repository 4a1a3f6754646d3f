/*
 * The child of brief_names_do() shares our memory and descriptors.  We wait for it as vfork(2)
 * does, in which we can be killed, and it goes on.
 *
 * The guard sleeps in poll(2) on a pidfd of ours, as that of engine/pact.c.  It shares our memory
 * (CLONE_VM, which is quick whatever our size), but has descriptors of its own, lest sockets of
 * ours outlive us.
 */
#include "file/brief_names.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/syscalls.h"

enum { STACK = 128 * 1024, PATIENCE_MS = 2000 };

struct brief_names {
	struct session *s;
	void (*take)(void *owner);
	void *owner;
	char *stack; /* of the children for a moment */
	pid_t guard;
	int controller; /* pidfd of ours */
	bool busy;	/* such a child is at work */
};

struct job {
	struct brief_names *names;
	int (*call)(void *owner, void *arg);
	void *arg;
	int result;
};

static int guard(void *arg)
{
	struct brief_names *names = arg;
	struct pollfd controller = {.fd = names->controller, .events = POLLIN};
	setsid(); /* signals to a group are for the controller */
	prctl(PR_SET_NAME, "fermata-names");
	while (poll(&controller, 1, -1) != 1)
		;
	for (int i = 0; i < PATIENCE_MS && __atomic_load_n(&names->busy, __ATOMIC_SEQ_CST); i++)
		poll(NULL, 0, 1);
	names->take(names->owner);
	_exit(0);
}

static pid_t clone_masked(int (*body)(void *), char *stack, int flags, void *arg)
{
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = clone(body, stack + STACK, CLONE_VM | flags, arg);
	int err = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid < 0 ? -err : pid;
}

static void wait_for(pid_t pid)
{
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

int brief_names_begin(
	struct session *s, void (*take)(void *owner), void *owner, struct brief_names **ret)
{
	struct brief_names *names = arena_new(&s->arena, struct brief_names);
	*names = (struct brief_names){.s = s, .take = take, .owner = owner};
	names->stack = arena_alloc(&s->arena, STACK);
	names->controller = sys_pidfd_open(getpid(), 0);
	if (names->controller < 0)
		return fail(s, names->controller, "watch over temporary names");
	names->guard = clone_masked(guard, arena_alloc(&s->arena, STACK), 0, names);
	if (names->guard < 0) {
		close(names->controller);
		return fail(s, names->guard, "watch over temporary names");
	}
	*ret = names;
	return 0;
}

/* No call in here fails while we live: errno is ours, too. */
static int do_job(void *arg)
{
	struct job *job = arg;
	struct brief_names *names = job->names;
	setsid();
	job->result = job->call(names->owner, job->arg);
	__atomic_store_n(&names->busy, false, __ATOMIC_SEQ_CST);
	_exit(0);
}

int brief_names_do(struct brief_names *n, int (*call)(void *owner, void *arg), void *arg)
{
	struct job job = {n, call, arg, 0};
	__atomic_store_n(&n->busy, true, __ATOMIC_SEQ_CST);
	pid_t pid = clone_masked(do_job, n->stack, CLONE_VFORK | CLONE_FILES, &job);
	if (pid < 0) {
		__atomic_store_n(&n->busy, false, __ATOMIC_SEQ_CST);
		return fail(n->s, pid, "give temporary names");
	}
	wait_for(pid);
	return job.result;
}

void brief_names_end(struct brief_names **n)
{
	if (!*n)
		return;
	kill((*n)->guard, SIGKILL);
	wait_for((*n)->guard);
	close((*n)->controller);
	*n = NULL;
}
