/*
 * Tasks whose session leader is dead: children orphaned by it and adopted by the root, one of
 * them in a group of its own, one in the dead leader's group. The root is a subreaper.
 * PROVES: F003
 */
#include "check.h"

static void orphan(void *own_group)
{
	pid_t leader = getsid(0);

	if (own_group)
		SAME(setpgid(0, 0), 0);
	while (getppid() == leader)
		nap_ms(1);
	pid_t root = getppid(), pgrp = own_group ? getpid() : leader;

	child_park();
	SAME(getsid(0), leader);
	SAME(getpgrp(), pgrp);
	SAME(getppid(), root);
}

static void session_leader(void *unused)
{
	char names[64];

	(void)unused;
	NEED(setsid() == getpid());
	pid_t a = spawn(orphan, NULL), b = spawn(orphan, "own");
	while (getpgid(b) != b)
		nap_ms(1);
	snprintf(names, sizeof(names), "%d %d", a, b);
	say("orphans", names);
}

int main(int argc, char **argv)
{
	char names[64];
	pid_t a, b;

	setup(argc, argv);
	SAME(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid_t leader = spawn(session_leader, NULL);

	need_exit(leader, 0);
	slurp(in_dir("orphans"), names, sizeof(names));
	NEED(sscanf(names, "%d %d", &a, &b) == 2);
	await_child(a);
	await_child(b);
	park();
	SAME(getsid(a), leader);
	SAME(getsid(b), leader);
	SAME(getpgid(a), leader);
	SAME(getpgid(b), b);
	need_exit(a, 0);
	need_exit(b, 0);
	ok();
}
