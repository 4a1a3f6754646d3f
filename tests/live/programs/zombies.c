/*
 * Zombies: exit codes and fatal signals wait for their parent, with the session and group the
 * dead had; a zombie session leader among them.
 * PROVES: F011 F039
 */
#include "check.h"

static void leave(void *code)
{
	_exit(*(int *)code);
}

static void by_signal(void *sig)
{
	raise(*(int *)sig);
	_exit(99);
}

static void own_session(void *unused)
{
	(void)unused;
	setsid();
	_exit(7);
}

static pid_t dead(void (*how)(void *), int value)
{
	siginfo_t info;
	pid_t pid = spawn(how, &value);

	SAME(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	return pid;
}

static void need_status(pid_t pid, int code, int status)
{
	siginfo_t info = {0};

	SAME(task_state(pid, pid), 'Z');
	SAME(waitid(P_PID, pid, &info, WEXITED), 0);
	SAME(info.si_pid, pid);
	SAME(info.si_code, code);
	SAME(info.si_status, status);
}

int main(int argc, char **argv)
{
	const int sigs[] = {SIGTERM, SIGKILL, SIGSEGV, SIGABRT, SIGRTMIN + 3};
	pid_t killed[5];

	setup(argc, argv);
	pid_t zero = dead(leave, 0), code = dead(leave, 42), high = dead(leave, 255),
	      leader = dead(own_session, 0), group = dead(leave, 9);

	for (int i = 0; i < 5; i++)
		killed[i] = dead(by_signal, sigs[i]);
	park();
	SAME(getsid(leader), leader);
	SAME(getpgid(group), getpgrp());
	need_status(zero, CLD_EXITED, 0);
	need_status(code, CLD_EXITED, 42);
	need_status(high, CLD_EXITED, 255);
	need_status(leader, CLD_EXITED, 7);
	need_status(group, CLD_EXITED, 9);
	for (int i = 0; i < 5; i++)
		need_status(killed[i], CLD_KILLED, sigs[i]);
	NEED(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	ok();
}
