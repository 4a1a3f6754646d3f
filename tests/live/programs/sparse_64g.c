/*
 * A mapping of 64 GiB with a few pages in it, the first and the last among them.
 * PROVES: F071
 */
#include "check.h"

#define SIZE (64UL << 30)

int main(int argc, char **argv)
{
	static const unsigned long at[] = {0, PAGE, 4UL << 30, (4UL << 30) - PAGE, 33UL << 30,
		(47UL << 30) + 5 * PAGE, SIZE - 2 * PAGE, SIZE - PAGE};
	setup(argc, argv);
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	NEED(p != MAP_FAILED && !madvise(p, SIZE, MADV_NOHUGEPAGE));
	for (int i = 0; i < 8; i++)
		fill(p + at[i], PAGE, i);
	park();
	for (int i = 0; i < 8; i++)
		need_filled(p + at[i], PAGE, i);
	for (unsigned long a = 3 * PAGE; a < SIZE; a += 1UL << 30)
		NEED(!p[a]);
	ok();
}
