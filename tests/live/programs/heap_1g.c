/*
 * A heap of 1 GiB, every word checked.
 * PROVES: F064 F079
 * VARIANTS: plain
 * TIMEOUT: 60
 */
#include "check.h"

#define SIZE (1UL << 30)

int main(int argc, char **argv)
{
	setup(argc, argv);
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED);
	fill(p, SIZE, 8);
	park();
	need_filled(p, SIZE, 8);
	ok();
}
