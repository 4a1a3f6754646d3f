/*
 * Names that are there for a moment: given and taken in a child that shares our memory and
 * descriptors, so that a SIGKILL for us does not come between the two; a vfork(2)ed parent can be
 * killed while it waits, and the child goes on.
 *
 * Names that stay for longer (f->doomed) are taken by a guard if we die: a child that sleeps in
 * poll(2) on a pidfd of ours, as that of engine/pact.c.  It has descriptors of its own, lest
 * sockets of ours outlive us.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file/ghost.h"
#include "kernel/syscalls.h"

enum { STACK = 128 * 1024, PATIENCE_MS = 2000 };

struct brief_names {
	struct file_set *f;
	char *stack; /* of the children for a moment */
	pid_t guard;
	int controller; /* pidfd of ours */
	bool busy;	/* such a child is at work */
};

struct job {
	struct brief_names *names;
	int (*call)(struct file_set *f, void *arg);
	void *arg;
	int result;
};

static bool is_directory(const struct doomed *gone)
{
	return !gone->ghost || ghost_is_directory(gone->ghost);
}

int brief_names_take_last(struct file_set *f)
{
	const struct doomed *gone = &f->doomed.v[f->doomed.n - 1];
	int r = unlinkat(
		f->root_fd, path_relative(gone->path), is_directory(gone) ? AT_REMOVEDIR : 0);
	f->doomed.n--;
	return r < 0 ? -errno : 0;
}

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
	while (names->f->doomed.n)
		brief_names_take_last(names->f);
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

static int begin(struct file_set *f)
{
	struct brief_names *names = arena_new(&f->s->arena, struct brief_names);
	names->f = f;
	names->controller = sys_pidfd_open(getpid(), 0);
	if (names->controller < 0)
		return fail(f->s, names->controller, "watch over the names of removed files");
	names->stack = arena_alloc(&f->s->arena, STACK);
	names->guard = clone_masked(guard, arena_alloc(&f->s->arena, STACK), 0, names);
	if (names->guard < 0) {
		close(names->controller);
		return fail(f->s, names->guard, "watch over the names of removed files");
	}
	f->names = names;
	return 0;
}

/* No call in here fails while we live: errno is ours, too. */
static int do_job(void *arg)
{
	struct job *job = arg;
	struct brief_names *names = job->names;
	setsid();
	job->result = job->call(names->f, job->arg);
	__atomic_store_n(&names->busy, false, __ATOMIC_SEQ_CST);
	_exit(0);
}

int brief_names_do(struct file_set *f, int (*call)(struct file_set *f, void *arg), void *arg)
{
	int r = f->names ? 0 : begin(f);
	if (r < 0)
		return r;
	struct job job = {f->names, call, arg, 0};
	__atomic_store_n(&f->names->busy, true, __ATOMIC_SEQ_CST);
	pid_t pid = clone_masked(do_job, f->names->stack, CLONE_VFORK | CLONE_FILES, &job);
	if (pid < 0) {
		__atomic_store_n(&f->names->busy, false, __ATOMIC_SEQ_CST);
		return fail(f->s, pid, "make the names of removed files");
	}
	wait_for(pid);
	return job.result;
}

void brief_names_end(struct file_set *f)
{
	struct brief_names *names = f->names;
	if (!names)
		return;
	f->names = NULL;
	kill(names->guard, SIGKILL);
	wait_for(names->guard);
	close(names->controller);
}
