/*
 * Shared anonymous memory is still shared between the tasks that shared it: also where one has only
 * a part of it, at another address, twice, or read-only; pages nobody touched are zero.
 * PROVES: F065 F085
 */
#include "check.h"

enum { PAGES = 64 };

static char *seg[3];

static char *shared(void)
{
	char *p =
		mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	NEED(p != MAP_FAILED);
	return p;
}

static void need_initial(const char *p)
{
	need_filled(p + PAGE, PAGE, 1);
	need_filled(p + 40 * PAGE, 2 * PAGE, 2);
	for (size_t i = 50 * PAGE; i < 52 * PAGE; i++)
		NEED(!p[i]);
}

static void writer(void *unused)
{
	/* Only the upper half of the first, moved elsewhere; a second copy of the second. */
	char *half, *twin;

	(void)unused;
	NEED(!munmap(seg[0], PAGES / 2 * PAGE));
	half = mremap(seg[0] + PAGES / 2 * PAGE, PAGES / 2 * PAGE, PAGES / 2 * PAGE,
		MREMAP_MAYMOVE | MREMAP_FIXED, (char *)0x40000000);
	NEED(half == (char *)0x40000000);
	twin = mremap(seg[1], 0, PAGES * PAGE, MREMAP_MAYMOVE);
	NEED(twin != MAP_FAILED && twin != seg[1]);
	child_park();
	need_filled(half + 8 * PAGE, 2 * PAGE, 2);
	need_initial(twin);
	need_initial(seg[1]);
	fill(half + 20 * PAGE, PAGE, 77);
	fill(twin + 60 * PAGE, PAGE, 78);
	need_filled(seg[1] + 60 * PAGE, PAGE, 78);
	say("written", "");
	await("seen");
}

static void reader(void *unused)
{
	(void)unused;
	NEED(!mprotect(seg[0], PAGES * PAGE, PROT_READ));
	child_park();
	need_initial(seg[0]);
	await("written");
	need_filled(seg[0] + 52 * PAGE, PAGE, 77);
	need_filled(seg[1] + 60 * PAGE, PAGE, 78);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (int i = 0; i < 3; i++) {
		seg[i] = shared();
		fill(seg[i] + PAGE, PAGE, 1);
		fill(seg[i] + 40 * PAGE, 2 * PAGE, 2);
	}
	pid_t a = spawn(writer, NULL), b = spawn(reader, NULL);
	await_child(a);
	await_child(b);
	park();
	for (int i = 0; i < 3; i++)
		need_initial(seg[i]);
	await("written");
	need_filled(seg[0] + 52 * PAGE, PAGE, 77);
	need_filled(seg[1] + 60 * PAGE, PAGE, 78);
	/* The three are not one. */
	NEED(!seg[0][60 * PAGE] && !seg[2][60 * PAGE] && !seg[1][52 * PAGE] && !seg[2][52 * PAGE]);
	say("seen", "");
	need_exit(a, 0);
	need_exit(b, 0);
	ok();
}
