/*
 * PR_SET_THP_DISABLE of one task and not of another.
 * PROVES: F068
 */
#include "check.h"

static void child(void *unused)
{
	(void)unused;
	NEED(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	child_park();
	SAME(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	SAME(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
	need_exit(pid, 0);
	ok();
}
