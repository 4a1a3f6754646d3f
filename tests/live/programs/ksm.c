/*
 * KSM for a whole process: its mappings are mergeable but for one that said no; the harness
 * compares their flags. Another process has it off.
 * PROVES: F068
 */
#include "check.h"

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif

static char *anon(void)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(p != MAP_FAILED);
	return p;
}

static void child(void *unused)
{
	(void)unused;
	if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
		skip("no PR_SET_MEMORY_MERGE before Linux 6.4");
	char *p = anon();
	fill(p, 4 * PAGE, 3);
	NEED(!madvise(p, 2 * PAGE, MADV_UNMERGEABLE));
	child_park();
	SAME(prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0), 1);
	need_filled(p, 4 * PAGE, 3);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	char *p = anon();
	if (madvise(p, PAGE, MADV_MERGEABLE))
		skip("no KSM");
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	SAME(prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0), 0);
	need_exit(pid, 0);
	ok();
}
