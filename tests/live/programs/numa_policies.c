/*
 * NUMA policies of single mappings: private, shared and of a file, with flags, beside others
 * without. Made so that it works on a machine with one node, where a dump looks for them only when
 * told to.
 * VARIANTS: scenario
 */
#include "check.h"

#include <linux/mempolicy.h>

enum { AREAS = 4, PAGES = 4 };

static int policy_at(const void *addr)
{
	unsigned long nodes[16] = {0};
	int mode;

	NEED(!syscall(SYS_get_mempolicy, &mode, nodes, 1024UL, addr, (unsigned long)MPOL_F_ADDR));
	if (mode & ~MPOL_MODE_FLAGS && (mode & ~MPOL_MODE_FLAGS) != MPOL_LOCAL)
		SAME(nodes[0], 1);
	return mode;
}

int main(int argc, char **argv)
{
	static const int modes[AREAS] = {
		MPOL_BIND, MPOL_INTERLEAVE | MPOL_F_STATIC_NODES, MPOL_PREFERRED, MPOL_BIND};
	unsigned long node0 = 1;
	char *at[AREAS];

	setup(argc, argv);
	int fd = open(in_dir("file"), O_RDWR | O_CREAT, 0600);
	NEED(fd >= 0 && !ftruncate(fd, PAGES * PAGE));
	for (int i = 0; i < AREAS; i++) {
		int how = i == 2   ? MAP_SHARED | MAP_ANONYMOUS
			  : i == 3 ? MAP_PRIVATE
				   : MAP_PRIVATE | MAP_ANONYMOUS;
		at[i] = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, how, i == 3 ? fd : -1, 0);
		NEED(at[i] != MAP_FAILED);
		if (syscall(SYS_mbind, at[i] + PAGE, PAGE, modes[i], &node0, 1024UL, 0UL))
			skip("no NUMA policies here");
		fill(at[i], PAGES * PAGE, i);
	}
	park();
	for (int i = 0; i < AREAS; i++) {
		SAME(policy_at(at[i]), MPOL_DEFAULT);
		SAME(policy_at(at[i] + PAGE), modes[i]);
		SAME(policy_at(at[i] + 2 * PAGE), MPOL_DEFAULT);
		need_filled(at[i], PAGES * PAGE, i);
	}
	ok();
}
