/*
 * More shared anonymous segments than any table of fixed size would hold, each with its own
 * contents, each still shared with the child.
 * VARIANTS: plain
 * PROVES: F086
 */
#include "check.h"

enum { SEGMENTS = 10000 };

static uint64_t *seg[SEGMENTS];

static void child(void *unused)
{
	(void)unused;
	child_park();
	for (int i = 0; i < SEGMENTS; i++) {
		need_filled(seg[i], PAGE, i);
		seg[i][0] = ~mix(i);
	}
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (int i = 0; i < SEGMENTS; i++) {
		seg[i] =
			mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		NEED(seg[i] != MAP_FAILED);
		fill(seg[i], PAGE, i);
	}
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	need_exit(pid, 0);
	for (int i = 0; i < SEGMENTS; i++)
		NEED(seg[i][0] == ~mix(i));
	ok();
}
