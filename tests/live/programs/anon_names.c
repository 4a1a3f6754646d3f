/*
 * Names of anonymous mappings, private and shared: the harness compares the names in smaps. Parts of a mapping with
 * and without, one name twice, on memory that a child inherits.
 * PROVES: F073
 */
#include "check.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static bool has_name(const char *mem, const char *name)
{
	static char maps[1 << 20];
	char start[32], *p;

	slurp("/proc/self/maps", maps, sizeof(maps));
	snprintf(start, sizeof(start), "\n%lx-", (unsigned long)mem);
	p = strstr(maps, start);
	NEED(p);
	*strchr(p + 1, '\n') = 0;
	return strstr(p, name);
}

static void name(char *mem, size_t pages, const char *text)
{
	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, mem, pages * PAGE, text))
		skip("no names of anonymous memory (CONFIG_ANON_VMA_NAME)");
}

static void child(void *arg)
{
	char *mem = arg;

	name(mem + 2 * PAGE, 1, "of the child");
	child_park();
	NEED(has_name(mem + 2 * PAGE, "[anon:of the child]"));
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	char *mem = mmap(
		NULL, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(mem != MAP_FAILED);
	fill(mem, 10 * PAGE, 4);
	name(mem + PAGE, 4, "GC heap: \"old\"");
	name(mem + 6 * PAGE, 2, "GC heap: \"old\"");
	NEED(!mprotect(mem + 7 * PAGE, PAGE, PROT_NONE));
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(shared != MAP_FAILED);
	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, shared, PAGE, "common"))
		shared = NULL; /* before Linux 6.2 */
	pid_t pid = spawn(child, mem);
	await_child(pid);
	park();
	NEED(has_name(mem + PAGE, "[anon:GC heap: \"old\"]"));
	NEED(has_name(mem + 7 * PAGE, "[anon:GC heap: \"old\"]"));
	NEED(!has_name(mem + 5 * PAGE, "[anon"));
	NEED(!shared || has_name(shared, "[anon_shmem:common]"));
	need_filled(mem, 10 * PAGE / 2, 4);
	need_exit(pid, 0);
	ok();
}
