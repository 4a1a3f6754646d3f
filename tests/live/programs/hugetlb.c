/*
 * Huge pages: private and shared anonymous ones.
 * PROVES: F064 F065
 */
#include "check.h"

#define SIZE (4UL << 20)

static void child(void *shared)
{
	child_park();
	need_filled(shared, SIZE, 2);
	fill(shared, PAGE, 3);
}

int main(int argc, char **argv)
{
	const int flags = MAP_ANONYMOUS | MAP_HUGETLB;

	setup(argc, argv);
	char *private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | flags, -1, 0);
	char *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | flags, -1, 0);
	if (private == MAP_FAILED || shared == MAP_FAILED)
		skip("no huge pages reserved on this machine");
	fill(private, SIZE, 1);
	fill(shared, SIZE, 2);
	pid_t pid = spawn(child, shared);
	await_child(pid);
	park();
	need_filled(private, SIZE, 1);
	need_exit(pid, 0);
	need_filled(shared, PAGE, 3);
	ok();
}
