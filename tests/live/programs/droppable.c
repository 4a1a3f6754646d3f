/*
 * MAP_DROPPABLE memory: every page holds what was written or zeros, never anything else, and the
 * mapping stays what it was (the harness compares its flags).
 * PROVES: F068
 */
#include "check.h"

#define DROPPABLE 0x08

int main(int argc, char **argv)
{
	static char zero[PAGE], want[PAGE];

	setup(argc, argv);
	char *p = mmap(NULL, 20 * PAGE, PROT_READ | PROT_WRITE, DROPPABLE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		skip("no MAP_DROPPABLE before Linux 6.11");
	for (int i = 0; i < 20; i += 2)
		fill(p + i * PAGE, PAGE, i);
	park();
	for (int i = 0; i < 20; i++) {
		fill(want, PAGE, i);
		if (i % 2 || memcmp(p + i * PAGE, want, PAGE))
			NEED(!memcmp(p + i * PAGE, zero, PAGE));
	}
	/* The kernel lets it be locked and does nothing, because it is droppable. */
	char status[4096], *locked;
	NEED(!mlock(p, PAGE));
	slurp("/proc/self/status", status, sizeof(status));
	NEED((locked = strstr(status, "VmLck:")));
	SAME(atoi(locked + 6), 0);
	ok();
}
