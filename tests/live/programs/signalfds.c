/*
 * signalfd: masks, flags; signals that were pending before come out of it after, those sent after
 * too; a child reads its own signals from the same open file; epoll sees them.
 * PROVES: F201
 */
#include "check.h"

#include <sys/signalfd.h>

static int many, shared;

static int next(int fd)
{
	struct signalfd_siginfo info;
	ssize_t n = read(fd, &info, sizeof(info));

	if (n < 0)
		return -errno;
	SAME(n, sizeof(info));
	return info.ssi_signo;
}

static void child(void *unused)
{
	(void)unused;
	SAME(next(shared), -EAGAIN);
	child_park();
	SAME(next(shared), -EAGAIN);
	raise(SIGHUP);
	SAME(next(shared), SIGHUP);
}

int main(int argc, char **argv)
{
	sigset_t all, one;

	setup(argc, argv);
	sigfillset(&all);
	sigdelset(&all, SIGCHLD);
	NEED(!sigprocmask(SIG_SETMASK, &all, NULL));
	many = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
	sigemptyset(&one);
	sigaddset(&one, SIGHUP);
	shared = signalfd(-1, &one, SFD_NONBLOCK);
	sigemptyset(&one);
	int none = signalfd(-1, &one, SFD_NONBLOCK);
	sigaddset(&one, SIGRTMAX);
	int last = signalfd(-1, &one, SFD_NONBLOCK);
	NEED(many >= 0 && shared >= 0 && none >= 0 && last >= 0);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	raise(SIGUSR1);
	raise(SIGHUP);
	NEED(!sigqueue(getpid(), SIGRTMAX, (union sigval){.sival_int = 7}));
	NEED(!sigqueue(getpid(), SIGRTMAX, (union sigval){.sival_int = 8}));
	park();
	need_exit(pid, 0);
	SAME(next(none), -EAGAIN);
	SAME(next(shared), SIGHUP);
	SAME(next(last), SIGRTMAX);
	SAME(next(many), SIGUSR1);
	SAME(next(many), SIGRTMAX);
	SAME(next(many), -EAGAIN);
	raise(SIGTERM);
	SAME(next(shared), -EAGAIN);
	SAME(next(last), -EAGAIN);
	SAME(next(many), SIGTERM);
	SAME(fcntl(many, F_GETFD), FD_CLOEXEC);
	SAME(fcntl(shared, F_GETFL), O_RDWR | O_NONBLOCK);
	/* the mask can still be replaced */
	SAME(signalfd(none, &one, 0), none);
	raise(SIGRTMAX);
	SAME(next(none), SIGRTMAX);
	ok();
}
