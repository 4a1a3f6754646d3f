/*
 * A chain of seccomp filters, one with the LOG flag: each still has its say, the lowest value of
 * conflicting ones wins as before, more can be added; with and without no_new_privs; a child has
 * its parent's chain and one more.
 * PROVES: F314 F317
 */
#include "seccomp.h"

static void need_filters(int n)
{
	char buf[4096], *p;

	slurp("/proc/self/status", buf, sizeof(buf));
	p = strstr(buf, "Seccomp_filters:");
	NEED(p);
	SAME(atoi(p + 16), n);
}

static void child(void *unused)
{
	(void)unused;
	deny(SYS_getegid, 114, 0);
	child_park();
	SAME(outcome(SYS_getppid), 111);
	SAME(outcome(SYS_getegid), 114);
	need_filters(4);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	deny(SYS_getppid, 111, 0);
	deny(SYS_getgid, 112, SECCOMP_FILTER_FLAG_LOG);
	deny(SYS_geteuid, 113, 0);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	SAME(prctl(PR_GET_SECCOMP), 2);
	SAME(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	SAME(outcome(SYS_getppid), 111);
	SAME(outcome(SYS_getgid), 112);
	SAME(outcome(SYS_geteuid), 113);
	SAME(outcome(SYS_getegid), 0);
	need_filters(3);
	need_exit(pid, 0);
	deny(SYS_getpgrp, 120, 0);
	SAME(outcome(SYS_getpgrp), 120);
	SAME(outcome(SYS_getppid), 111);
	ok();
}
