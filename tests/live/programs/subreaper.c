/*
 * PR_SET_CHILD_SUBREAPER is kept and works: an orphan made after the restore comes to us. A child
 * without the setting keeps that, too.
 * PROVES: F002
 */
#include "check.h"

static void grandchild(void *parent)
{
	while (getppid() == *(pid_t *)parent)
		nap_ms(1);
	_exit(33);
}

static void child(void *unused)
{
	int flag = -1;
	pid_t self = getpid();

	(void)unused;
	child_park();
	SAME(prctl(PR_GET_CHILD_SUBREAPER, &flag), 0);
	SAME(flag, 0);
	spawn(grandchild, &self);
}

int main(int argc, char **argv)
{
	int flag = -1, status;

	setup(argc, argv);
	SAME(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid_t pid = spawn(child, NULL);

	await_child(pid);
	park();
	SAME(prctl(PR_GET_CHILD_SUBREAPER, &flag), 0);
	SAME(flag, 1);
	need_exit(pid, 0);
	NEED(waitpid(-1, &status, 0) > 0);
	NEED(WIFEXITED(status) && WEXITSTATUS(status) == 33);
	ok();
}
