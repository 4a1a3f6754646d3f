/*
 * Five hundred processes, a tree of ten by fifty.
 * VARIANTS: plain cycles leave_running child
 * PROVES: F002 F049
 * TIMEOUT: 60
 */
#include "crowd.h"

static void branch(void *unused)
{
	struct crowd c;

	(void)unused;
	crowd_start(&c, 49);
	child_park();
	crowd_finish(&c);
}

int main(int argc, char **argv)
{
	pid_t pid[10];

	setup(argc, argv);
	for (int i = 0; i < 10; i++) {
		pid[i] = spawn(branch, NULL);
		await_child(pid[i]);
	}
	park();
	for (int i = 0; i < 10; i++)
		need_exit(pid[i], 0);
	ok();
}
