/*
 * A parent that cannot be stopped, because it waits for its vfork child.
 * VARIANTS: scenario
 */
#include "check.h"

int main(int argc, char **argv)
{
	setup(argc, argv);
	pid_t pid = vfork();

	if (pid == 0) {
		park();
		_exit(6);
	}
	need_exit(pid, 6);
	ok();
}
