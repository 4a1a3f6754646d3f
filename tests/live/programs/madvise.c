/*
 * Advice that the kernel keeps per mapping: the harness compares VmFlags; here the effects show.
 * PROVES: F068
 */
#include "check.h"

static const struct {
	int advice;
	const char *flag;
} kind[] = {
	{MADV_DONTFORK, "dc"},
	{MADV_DONTDUMP, "dd"},
	{MADV_MERGEABLE, "mg"},
	{MADV_HUGEPAGE, "hg"},
	{MADV_NOHUGEPAGE, "nh"},
	{MADV_SEQUENTIAL, "sr"},
	{MADV_RANDOM, "rr"},
	{MADV_WIPEONFORK, "wf"},
};
enum { KINDS = sizeof(kind) / sizeof(kind[0]), SIZE = 4 << 20 };

static bool has_flag(const char *mem, const char *flag)
{
	static char smaps[1 << 20];
	char start[32], *p;

	slurp("/proc/self/smaps", smaps, sizeof(smaps));
	snprintf(start, sizeof(start), "\n%lx-", (unsigned long)mem);
	p = strstr(smaps, start);
	NEED(p);
	p = strstr(p, "VmFlags:");
	NEED(p);
	*strchr(p, '\n') = 0;
	return strstr(p + 8, flag);
}

int main(int argc, char **argv)
{
	char *mem[KINDS];
	bool possible[KINDS];

	setup(argc, argv);
	for (int i = 0; i < KINDS; i++) {
		/* Gaps keep the mappings from growing together. */
		mem[i] = mmap(NULL, SIZE + PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		NEED(mem[i] != MAP_FAILED && !munmap(mem[i] + SIZE, PAGE));
		possible[i] = !madvise(mem[i], SIZE, kind[i].advice);
		fill(mem[i], 16 * PAGE, i);
		SAME(has_flag(mem[i], kind[i].flag), possible[i]);
	}
	NEED(possible[0] && possible[1] && possible[5] && possible[6] && possible[7]);
	park();
	for (int i = 0; i < KINDS; i++) {
		need_filled(mem[i], 16 * PAGE, i);
		SAME(has_flag(mem[i], kind[i].flag), possible[i]);
	}
	pid_t pid = fork();
	if (pid == 0) {
		NEED(madvise(mem[0], PAGE, MADV_NORMAL) == -1 && errno == ENOMEM);
		NEED(mem[7][0] == 0 && mem[7][15 * PAGE + 8] == 0);
		need_filled(mem[1], 16 * PAGE, 1);
		_exit(0);
	}
	need_exit(pid, 0);
	ok();
}
