/*
 * Guard regions (MADV_GUARD_INSTALL) inside memory with contents still fault, and can be removed.
 * PROVES: F067
 */
#include "fault.h"

#define GUARD_INSTALL 102
#define GUARD_REMOVE  103

int main(int argc, char **argv)
{
	setup(argc, argv);
	signal(SIGSEGV, on_fault);
	char *p = mmap(NULL, 32 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED);
	fill(p, 32 * PAGE, 4);
	if (madvise(p, PAGE, GUARD_INSTALL))
		skip("no guard regions before Linux 6.13");
	NEED(!madvise(p + 10 * PAGE, 3 * PAGE, GUARD_INSTALL));
	NEED(!madvise(p + 31 * PAGE, PAGE, GUARD_INSTALL));
	park();
	for (int i = 0; i < 32; i++)
		SAME(faults(p + i * PAGE), i == 0 || (i >= 10 && i < 13) || i == 31);
	char *copy =
		mmap(NULL, 32 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fill(copy, 32 * PAGE, 4);
	NEED(!memcmp(p + PAGE, copy + PAGE, 9 * PAGE) &&
		!memcmp(p + 13 * PAGE, copy + 13 * PAGE, 18 * PAGE));
	NEED(!madvise(p, 32 * PAGE, GUARD_REMOVE));
	NEED(!faults(p) && !faults(p + 11 * PAGE) && !p[11 * PAGE]);
	ok();
}
