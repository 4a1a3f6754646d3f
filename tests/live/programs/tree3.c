/*
 * A tree of three levels, two children each: every task keeps its PID, its parent, its children.
 * PROVES: F002
 */
#include "check.h"

static void grow(void *level)
{
	int depth = *(int *)level;
	pid_t self = getpid(), parent = getppid(), kid[2];

	for (int i = 0; i < 2 && depth < 3; i++) {
		int below = depth + 1;

		kid[i] = spawn(grow, &below);
		await_child(kid[i]);
	}
	if (depth == 0)
		park();
	else
		child_park();
	SAME(getpid(), self);
	if (depth > 0)
		SAME(getppid(), parent);
	for (int i = 0; i < 2 && depth < 3; i++)
		need_exit(kid[i], 0);
	NEED(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

int main(int argc, char **argv)
{
	int depth = 0;

	setup(argc, argv);
	grow(&depth);
	ok();
}
