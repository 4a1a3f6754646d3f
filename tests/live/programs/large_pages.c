/*
 * A large mapping, whose pages are found in a way of their own: pages with contents, pages that were
 * only read, which are not stored, and guard regions.
 * PROVES: F064 F067 F076
 * VARIANTS: plain fidelity
 * BETWEEN: ! find $DIR -name "pages-*.img" -size +110M | grep .
 */
#include "fault.h"

#define GUARD_INSTALL 102
#define FILLED	      (104UL << 20)
#define READ	      (32UL << 20)
#define STRIPES	      (32UL << 20)

static unsigned long sum_of(const volatile char *p, unsigned long size)
{
	unsigned long sum = 0;
	for (unsigned long i = 0; i < size; i += PAGE)
		sum += (unsigned char)p[i];
	return sum;
}

int main(int argc, char **argv)
{
	const unsigned long size = FILLED + READ + STRIPES, guards = FILLED + READ / 2;
	setup(argc, argv);
	signal(SIGSEGV, on_fault);
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED && !madvise(p, size, MADV_NOHUGEPAGE));
	fill(p, FILLED, 5);
	SAME(sum_of(p + FILLED, READ), 0);
	for (unsigned long i = 0; i < STRIPES; i += 64 * PAGE)
		p[FILLED + READ + i] = 's';
	bool guarded = !madvise(p + guards, 3 * PAGE, GUARD_INSTALL); /* since Linux 6.13 */
	park();
	need_filled(p, FILLED, 5);
	if (guarded)
		for (int i = -1; i <= 3; i++)
			SAME(faults(p + guards + i * PAGE), i >= 0 && i < 3);
	SAME(sum_of(p + FILLED, READ / 2), 0);
	for (unsigned long i = 0; i < STRIPES; i += PAGE)
		SAME(p[FILLED + READ + i], i % (64 * PAGE) ? 0 : 's');
	ok();
}
