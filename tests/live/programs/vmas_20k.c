/*
 * Twenty thousand mappings, every second one with contents.
 * VARIANTS: plain cycles leave_running child
 * PROVES: F072
 */
#include "check.h"

enum { VMAS = 20000 };

int main(int argc, char **argv)
{
	setup(argc, argv);
	char *p =
		mmap(NULL, VMAS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED);
	for (int i = 0; i < VMAS; i += 2) {
		*(uint64_t *)(p + i * PAGE + 8) = mix(i);
		NEED(!mprotect(p + i * PAGE, PAGE, PROT_READ));
	}
	park();
	for (int i = 0; i < VMAS; i += 2) {
		uint64_t *page = (uint64_t *)(p + i * PAGE);

		NEED(page[1] == mix(i) && !page[0] && !page[511]);
		NEED(!*(uint64_t *)(p + (i + 1) * PAGE + 8));
	}
	ok();
}
