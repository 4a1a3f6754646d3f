/*
 * PR_SET_THP_DISABLE of one task and not of another, and with its exception (Linux 6.18).
 * PROVES: F068
 */
#include "check.h"

#define EXCEPT_ADVISED 2

static void child(void *arg)
{
	long flags = *(long *)arg;

	if (prctl(PR_SET_THP_DISABLE, 1, flags, 0, 0)) {
		NEED(flags && errno == EINVAL);
		flags = 0;
		NEED(!prctl(PR_SET_THP_DISABLE, 1, flags, 0, 0));
	}
	child_park();
	SAME(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1 | flags);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	pid_t pid[2];
	for (long i = 0; i < 2; i++) {
		long flags = i ? EXCEPT_ADVISED : 0;

		pid[i] = spawn(child, &flags);
		await_child(pid[i]);
	}
	park();
	SAME(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
	need_exit(pid[0], 0);
	need_exit(pid[1], 0);
	ok();
}
