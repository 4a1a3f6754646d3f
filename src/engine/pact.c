/*
 * The child shares our memory (CLONE_VM, which is quick whatever our size) and sleeps in poll(2) on
 * a pidfd of ours.  That is readable when the kernel has done with our tracees: those with
 * PTRACE_O_EXITKILL are dying already.
 */
#include "engine/pact.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/session.h"
#include "kernel/syscalls.h"

enum { STACK = 16 * 1024 };

/* No call in here fails while we live: errno is ours, too. */
static int watch(void *arg)
{
	const struct pact *p = arg;
	struct pollfd controller = {.fd = p->controller, .events = POLLIN};
	setsid(); /* signals to a group are for the controller */
	prctl(PR_SET_NAME, "fermata-pact");
	while (poll(&controller, 1, -1) != 1)
		;
	if (!__atomic_load_n(&p->over, __ATOMIC_SEQ_CST))
		vec_for_each (&p->tasks, pid)
			kill(*pid, SIGKILL);
	_exit(0);
}

void pact_begin(struct session *s, struct pact *p, const struct tree *tree)
{
	sigset_t all, before;
	*p = (struct pact){.controller = -1};
	vec_for_each (&tree->tasks, t)
		if (task_lives(*t) && (*t)->pid > 0)
			*vec_push(&s->arena, &p->tasks) = (*t)->pid;
	if (p->tasks.n < 2)
		return;
	p->controller = sys_pidfd_open(getpid(), 0);
	if (p->controller < 0)
		return;
	char *stack = arena_alloc(&s->arena, STACK);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = clone(watch, stack + STACK, CLONE_VM, p);
	sigprocmask(SIG_SETMASK, &before, NULL);
	p->pid = pid < 0 ? 0 : pid;
}

void pact_end(struct pact *p)
{
	__atomic_store_n(&p->over, true, __ATOMIC_SEQ_CST);
	if (p->pid) {
		kill(p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	}
	if (p->controller >= 0)
		close(p->controller);
}
