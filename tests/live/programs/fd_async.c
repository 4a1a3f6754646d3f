/*
 * O_ASYNC: signals from pipes reach whom they should: a process (with F_SETSIG and si_fd), a thread, a
 * process group, a child that shares the pipe; an owner that is dead stays dead; who set the owner is
 * kept.
 * PROVES: F131
 */
#include "check.h"

#include <pthread.h>

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

enum { PROCESS, THREAD, GROUP, CHILD, DEAD, OTHER_UID, N_PIPES };

static int pipes[N_PIPES][2], thread_tid;
static sigset_t all;

static void own(int i, int type, pid_t pid, int signo)
{
	struct f_owner_ex owner = {type, pid};
	int fd = pipes[i][0];

	NEED(!fcntl(fd, F_SETOWN_EX, &owner) && !fcntl(fd, F_SETSIG, signo));
	NEED(!fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK));
}

static void need_owner(int i, int type, pid_t pid)
{
	struct f_owner_ex owner;

	NEED(!fcntl(pipes[i][0], F_GETOWN_EX, &owner));
	SAME(owner.pid, pid);
	if (pid)
		SAME(owner.type, type);
	SAME(fcntl(pipes[i][0], F_GETFL), O_ASYNC | O_NONBLOCK);
}

static void need_signal(int signo, int fd)
{
	struct timespec limit = {10, 0};
	siginfo_t info;

	SAME(sigtimedwait(&all, &info, &limit), signo);
	if (fd >= 0)
		SAME(info.si_fd, fd);
}

static void *threads_part(void *unused)
{
	thread_tid = (int)syscall(SYS_gettid);
	own(THREAD, F_OWNER_TID, thread_tid, SIGRTMIN + THREAD);
	await("release");
	await("thread's turn");
	need_signal(SIGRTMIN + THREAD, pipes[THREAD][0]);
	return unused;
}

static void child(void *unused)
{
	(void)unused;
	own(CHILD, F_OWNER_PID, getpid(), SIGRTMIN + CHILD);
	child_park();
	await("child's turn");
	need_signal(SIGIO, -1);
	need_signal(SIGRTMIN + CHILD, pipes[CHILD][0]);
}

static void stop(void *unused)
{
	(void)unused;
	pause();
}

int main(int argc, char **argv)
{
	uint32_t uids[2];
	pthread_t thread;

	setup(argc, argv);
	sigemptyset(&all);
	sigaddset(&all, SIGIO);
	for (int i = 0; i < N_PIPES; i++) {
		sigaddset(&all, SIGRTMIN + i);
		NEED(!pipe(pipes[i]));
	}
	sigprocmask(SIG_BLOCK, &all, NULL);
	pid_t brief = spawn(stop, NULL), pid;

	own(PROCESS, F_OWNER_PID, getpid(), SIGRTMIN + PROCESS);
	own(GROUP, F_OWNER_PGRP, getpgrp(), 0);
	own(DEAD, F_OWNER_PID, brief, SIGRTMIN + DEAD);
	kill(brief, SIGKILL);
	SAME(waitpid(brief, NULL, 0), brief);
	NEED(!setresuid(1234, 4321, 0));
	own(OTHER_UID, F_OWNER_PID, getpid(), SIGRTMIN + OTHER_UID);
	NEED(!setresuid(0, 0, 0));
	pid = spawn(child, NULL);
	await_child(pid);
	NEED(!pthread_create(&thread, NULL, threads_part, NULL));
	await_threads_asleep();
	need_owner(DEAD, F_OWNER_PID, 0);
	park();
	need_owner(PROCESS, F_OWNER_PID, getpid());
	need_owner(THREAD, F_OWNER_TID, thread_tid);
	need_owner(GROUP, F_OWNER_PGRP, getpgrp());
	need_owner(CHILD, F_OWNER_PID, pid);
	need_owner(DEAD, F_OWNER_PID, 0);
	need_owner(OTHER_UID, F_OWNER_PID, getpid());
	NEED(!fcntl(pipes[OTHER_UID][0], F_GETOWNER_UIDS, uids));
	SAME(uids[0], 1234);
	SAME(uids[1], 4321);
	SAME(fcntl(pipes[DEAD][0], F_GETSIG), SIGRTMIN + DEAD);
	for (int i = 0; i < N_PIPES; i++)
		NEED(write(pipes[i][1], "x", 1) == 1);
	say("thread's turn", "");
	say("child's turn", "");
	NEED(!pthread_join(thread, NULL));
	need_signal(SIGIO, -1);
	need_signal(SIGRTMIN + PROCESS, pipes[PROCESS][0]);
	need_exit(pid, 0);
	sigset_t pending;
	NEED(!sigpending(&pending) && !sigismember(&pending, SIGRTMIN + DEAD));
	/* he may not signal us now that we are root again */
	NEED(!sigismember(&pending, SIGRTMIN + OTHER_UID));
	ok();
}
