/*
 * Memory that grows downwards: one that grew already, two that touch each other, and the stack; all
 * keep their contents and still grow.
 * PROVES: F070 F056
 */
#include "check.h"

static char *down(char *at, long pages)
{
	char *p = mmap(at, pages * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0);

	NEED(p == at);
	return p;
}

/* A frame of one page at each level; the sum comes from the frames themselves. */
static __attribute__((noinline)) int deep(int levels)
{
	volatile char frame[PAGE];

	frame[0] = levels & 1;
	frame[PAGE - 1] = 1;
	return levels ? deep(levels - 1) + frame[PAGE - 1] : frame[PAGE - 1];
}

int main(int argc, char **argv)
{
	char on_stack[10 * PAGE];

	setup(argc, argv);
	char *grown = down((char *)0x50000000, 4), *upper = down((char *)0x60010000, 16),
	     *lower = down((char *)0x60000000, 16);
	fill(grown, 4 * PAGE, 1);
	for (long i = 1; i <= 20; i++)
		fill(grown - i * PAGE, PAGE, 1 + i);
	fill(upper, 16 * PAGE, 30);
	fill(lower, 16 * PAGE, 31);
	fill(on_stack, sizeof(on_stack), 32);
	SAME(deep(100), 101);
	park();
	need_filled(grown, 4 * PAGE, 1);
	for (long i = 1; i <= 20; i++)
		need_filled(grown - i * PAGE, PAGE, 1 + i);
	need_filled(upper, 16 * PAGE, 30);
	need_filled(lower, 16 * PAGE, 31);
	need_filled(on_stack, sizeof(on_stack), 32);
	for (long i = 21; i <= 60; i++)
		fill(grown - i * PAGE, PAGE, 1 + i);
	for (long i = 1; i <= 10; i++)
		fill(lower - i * PAGE, PAGE, 200 + i);
	for (long i = 1; i <= 10; i++)
		need_filled(lower - i * PAGE, PAGE, 200 + i);
	SAME(deep(1000), 1001);
	need_filled(grown - 60 * PAGE, PAGE, 61);
	ok();
}
