/*
 * Terminals whose input is a signal (O_ASYNC, with F_SETSIG and si_fd), at either end, idle ones and one
 * with a half-typed line: a dump reads and types there, and nobody gets a signal for that; new input is
 * one.
 * PROVES: F131 F185
 */
#include "pty.h"

static int master[2], slave[2];

static void arm(int fd, int signo)
{
	NEED(!fcntl(fd, F_SETOWN, getpid()) && !fcntl(fd, F_SETSIG, signo));
	NEED(!fcntl(fd, F_SETFL, O_RDWR | O_ASYNC));
}

static void need_signal(const sigset_t *all, int signo, int fd)
{
	struct timespec limit = {10, 0};
	siginfo_t info;

	SAME(sigtimedwait(all, &info, &limit), signo);
	SAME(info.si_fd, fd);
}

int main(int argc, char **argv)
{
	sigset_t all, pending;

	setup(argc, argv);
	sigemptyset(&all);
	for (int i = 0; i < 4; i++)
		sigaddset(&all, SIGRTMIN + i);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (int i = 0; i < 2; i++) {
		master[i] = open_master();
		slave[i] = dup2(open_slave_of(master[i], O_RDWR), 30 + i);
	}
	type(master[1], "half");
	while (!(ready_for(master[1], POLLIN, 2000) & POLLIN))
		;
	for (int i = 0; i < 2; i++) {
		arm(slave[i], SIGRTMIN + 2 * i);
		arm(master[i], SIGRTMIN + 2 * i + 1);
	}
	NEED(!sigpending(&pending));
	for (int i = 0; i < 4; i++)
		NEED(!sigismember(&pending, SIGRTMIN + i));
	park();
	NEED(!sigpending(&pending));
	for (int i = 0; i < 4; i++)
		NEED(!sigismember(&pending, SIGRTMIN + i));
	for (int i = 0; i < 2; i++) {
		SAME(fcntl(slave[i], F_GETFL) & O_ASYNC, O_ASYNC);
		SAME(fcntl(master[i], F_GETFL) & O_ASYNC, O_ASYNC);
	}
	raw(slave[0]);
	type(master[0], "x");
	need_signal(&all, SIGRTMIN, slave[0]);
	type(slave[0], "y");
	need_signal(&all, SIGRTMIN + 1, master[0]);
	type(master[1], " done\n");
	need_signal(&all, SIGRTMIN + 2, slave[1]);
	need_read_n(slave[1], "half done\n", 10);
	ok();
}
