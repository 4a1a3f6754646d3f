/* The child that looks after sockets when the controller dies. */
#include "socket/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/session.h"
#include "kernel/syscalls.h"

/* Signals of the terminal or of a supervisor's group are for the controller. */
static void step_aside(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "fermata-guard");
}

/* A pidfd is readable from the death on; when that comes, sockets close as they should. */
static bool dies_within(int pidfd, int wait_ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	return poll(&p, 1, wait_ms) > 0;
}

static void watch(int pipe, int pidfd, const struct guard_duty *duty)
{
	char word;
	ssize_t n;
	step_aside();
	do
		n = read(pipe, &word, 1);
	while (n < 0 && errno == EINTR);
	bool orphaned = n == 0, dead = orphaned && dies_within(pidfd, duty->wait_ms);
	if (dead && duty->bury)
		duty->bury(duty->arg);
	if (orphaned && !dead)
		duty->rescue(duty->arg);
	_exit(0);
}

int guard_start(struct session *s, struct guard *g, const struct guard_duty *duty)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail(s, errno, "guard the sockets");
	_cleanup_close_ int read_end = ends[0], write_end = ends[1];
	_cleanup_close_ int pidfd = sys_pidfd_open(duty->alive, 0);
	pid_t pid = pidfd < 0 ? pidfd : fork();
	if (pid < 0)
		return fail(s, pidfd < 0 ? pidfd : errno, "guard the sockets");
	if (pid == 0) {
		close(write_end);
		watch(read_end, pidfd, duty);
	}
	*g = (struct guard){.pid = pid, .pipe = take_fd(&write_end)};
	return 0;
}

void guard_dismiss(struct guard *g)
{
	if (!g->pid)
		return;
	if (write(g->pipe, "", 1) < 0) /* it was killed */
		(void)0;
	close(g->pipe);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	g->pid = 0;
}
