/*
 * Memory that was only read is not stored: 512 MiB of it make no large image.
 * PROVES: F076
 * BETWEEN: ! find $DIR -name "pages-*.img" -size +20M | grep .
 */
#include "check.h"

#define SIZE (512UL << 20)

int main(int argc, char **argv)
{
	unsigned long sum = 0;

	setup(argc, argv);
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED && !madvise(p, SIZE, MADV_NOHUGEPAGE));
	for (unsigned long i = 0; i < SIZE; i += PAGE)
		sum += ((volatile char *)p)[i];
	p[77 * PAGE] = 'x';
	park();
	NEED(p[77 * PAGE] == 'x');
	p[77 * PAGE] = 0;
	for (unsigned long i = 0; i < SIZE; i += PAGE)
		sum += ((volatile char *)p)[i];
	SAME(sum, 0);
	ok();
}
