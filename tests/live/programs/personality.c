/*
 * The execution domain of a process.
 * PROVES: F017
 */
#include "check.h"
#include <sys/personality.h>

static void child(void *arg)
{
	unsigned long want = *(unsigned long *)arg;

	NEED(personality(want) != -1);
	child_park();
	SAME(personality(0xffffffff), want);
}

int main(int argc, char **argv)
{
	static const unsigned long kind[] = {0, ADDR_NO_RANDOMIZE, UNAME26 | SHORT_INODE,
		ADDR_COMPAT_LAYOUT | STICKY_TIMEOUTS, MMAP_PAGE_ZERO | WHOLE_SECONDS};
	pid_t pid[5];

	setup(argc, argv);
	for (int i = 0; i < 5; i++) {
		unsigned long want = kind[i];

		pid[i] = spawn(child, &want);
		await_child(pid[i]);
	}
	park();
	for (int i = 0; i < 5; i++)
		need_exit(pid[i], 0);
	ok();
}
