/*
 * Private anonymous memory, page by page: scattered pages, a dense area, an aligned huge-page area,
 * read-only memory; untouched pages stay zero; a thread goes on changing memory through the dump.
 * PROVES: F064
 */
#include "check.h"
#include <pthread.h>

enum { SCATTERED = 5000, DENSE = 2000, HUGE_SIZE = 8 << 20 };

static volatile bool stop;
static uint64_t *moving;

static char *anon(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(p != MAP_FAILED);
	return p;
}

static bool chosen(int page)
{
	return mix(page) % 3 == 0;
}

/* Two words in step, on two pages: every snapshot in between is at most one apart. */
static void *mover(void *unused)
{
	while (!stop) {
		moving[0]++;
		__asm__ volatile("" ::: "memory");
		moving[PAGE / 8] = moving[0];
		if (moving[0] % 1000 == 0)
			nap_ms(1);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t t;

	setup(argc, argv);
	char *scattered = anon(SCATTERED * PAGE), *dense = anon(DENSE * PAGE),
	     *huge = anon(HUGE_SIZE), *constant = anon(7 * PAGE), *partial = anon(PAGE);

	moving = (uint64_t *)anon(2 * PAGE);
	for (int i = 0; i < SCATTERED; i++)
		if (chosen(i))
			fill(scattered + i * PAGE, PAGE, i);
	fill(dense, DENSE * PAGE, 1);
	madvise(huge, HUGE_SIZE, MADV_HUGEPAGE);
	fill(huge, HUGE_SIZE, 2);
	fill(constant, 7 * PAGE, 3);
	NEED(!mprotect(constant, 7 * PAGE, PROT_READ));
	partial[PAGE - 1] = 'z';
	NEED(!pthread_create(&t, NULL, mover, NULL));
	while (!*(volatile uint64_t *)moving)
		nap_ms(1);
	park();
	stop = true;
	NEED(!pthread_join(t, NULL));
	SAME(moving[0], moving[PAGE / 8]);
	for (int i = 0; i < SCATTERED; i++) {
		if (chosen(i))
			need_filled(scattered + i * PAGE, PAGE, i);
		else
			for (size_t b = 0; b < PAGE; b++)
				NEED(!scattered[i * PAGE + b]);
	}
	need_filled(dense, DENSE * PAGE, 1);
	need_filled(huge, HUGE_SIZE, 2);
	need_filled(constant, 7 * PAGE, 3);
	NEED(partial[PAGE - 1] == 'z' && !partial[0] && !partial[PAGE - 2]);
	ok();
}
