/*
 * A task that may never have writable and executable memory (PR_SET_MDWE) can be entered, dumped
 * and restored, and still may not.
 * PROVES: F407
 */
#include "check.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif

int main(int argc, char **argv)
{
	setup(argc, argv);
	if (prctl(PR_SET_MDWE, 1, 0, 0, 0))
		skip("no PR_SET_MDWE before Linux 6.3");
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED);
	fill(p, PAGE, 1);
	park();
	need_filled(p, PAGE, 1);
	SAME(prctl(PR_GET_MDWE, 0, 0, 0, 0), 1);
	NEED(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == -1 && errno == EACCES);
	ok();
}
