/*
 * Sessions and process groups: leaders, members, a group whose leader is dead, a group leader
 * inside another task's session, a session leader with its own group of children.
 * PROVES: F003
 */
#include "check.h"

static void member(void *unused)
{
	(void)unused;
	pid_t pgrp = getpgrp(), sid = getsid(0);

	child_park();
	SAME(getpgrp(), pgrp);
	SAME(getsid(0), sid);
}

/* A member whose parent moves it to another group first. */
static void late_member(void *unused)
{
	pid_t at_start = getppid() == getpgrp() ? getpgrp() : 0;

	while (getpgrp() == at_start)
		nap_ms(1);
	member(unused);
}

static void session_leader(void *unused)
{
	(void)unused;
	NEED(setsid() == getpid());
	pid_t a = spawn(late_member, NULL), b = spawn(late_member, NULL);

	SAME(setpgid(a, a), 0);
	SAME(setpgid(b, a), 0);
	await_child(a);
	await_child(b);
	child_park();
	SAME(getsid(0), getpid());
	SAME(getpgrp(), getpid());
	SAME(getpgid(a), a);
	SAME(getpgid(b), a);
	SAME(getsid(b), getpid());
	need_exit(a, 0);
	need_exit(b, 0);
}

static void leave_now(void *unused)
{
	(void)unused;
	await("leader may die");
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	pid_t leader = spawn(session_leader, NULL), plain = spawn(member, NULL);
	pid_t dead = spawn(leave_now, NULL), orphan1 = spawn(late_member, NULL),
	      orphan2 = spawn(late_member, NULL);

	SAME(setpgid(dead, dead), 0);
	SAME(setpgid(orphan1, dead), 0);
	SAME(setpgid(orphan2, dead), 0);
	say("leader may die", "");
	need_exit(dead, 0);
	await_child(leader);
	await_child(plain);
	await_child(orphan1);
	await_child(orphan2);
	park();
	SAME(getsid(0), getpid());
	SAME(getsid(leader), leader);
	SAME(getpgid(plain), getpid());
	SAME(getpgid(orphan1), dead);
	SAME(getpgid(orphan2), dead);
	/* The group is really one: a signal to it reaches both and nobody else. */
	SAME(kill(-dead, 0), 0);
	need_exit(leader, 0);
	need_exit(plain, 0);
	need_exit(orphan1, 0);
	need_exit(orphan2, 0);
	NEED(kill(-dead, 0) == -1 && errno == ESRCH);
	ok();
}
