/*
 * Copy on write is kept: pages that parent, child and grandchild had in common before the dump are
 * the same physical pages after the restore, changed ones are not, and the memory that the three
 * use together has not grown by more than a twentieth.  With the argument "copies" the child makes
 * copies of its pages after the restore, as a tool would that does not care: that is to be noticed.
 * PROVES: F074
 */
#include "check.h"

enum { PAGES = 4000 };

static char *area;
static bool copies;

static void pfns(pid_t pid, uint64_t *out)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	int fd = open(path, O_RDONLY);
	NEED(fd >= 0);
	NEED(pread(fd, out, PAGES * 8, (uintptr_t)area / PAGE * 8) == PAGES * 8);
	close(fd);
	for (int i = 0; i < PAGES; i++) {
		NEED(out[i] >> 63);
		out[i] &= (1ULL << 55) - 1;
	}
}

/* The proportional share of a task, in kB; its sum over the tasks is what they use together. */
static long pss_kb(pid_t pid)
{
	char path[64], buf[4096], *p;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	slurp(path, buf, sizeof(buf));
	p = strstr(buf, "\nPss:");
	NEED(p);
	return atol(p + 5);
}

static void touch(int step)
{
	for (int i = step; i < PAGES; i += 10)
		area[i * PAGE] = step;
}

static void grandchild(void *unused)
{
	(void)unused;
	touch(2);
	child_park();
	await("compared");
	for (int i = 0; i < PAGES; i++)
		SAME(area[i * PAGE], i % 10 == 1 ? 1 : i % 10 == 2 ? 2 : 'p');
}

static void child(void *unused)
{
	touch(1);
	pid_t pid = spawn(grandchild, unused);
	char name[16];

	await_child(pid);
	snprintf(name, sizeof(name), "%d", pid);
	say("grandchild", name);
	child_park();
	for (int i = 0; copies && i < PAGES; i++) {
		volatile char *page = area + i * PAGE;
		*page = *page;
	}
	say("copied", "");
	need_exit(pid, 0);
	for (int i = 0; i < PAGES; i++)
		SAME(area[i * PAGE], i % 10 == 1 ? 1 : 'p');
}

int main(int argc, char **argv)
{
	static uint64_t own[PAGES], kid[PAGES], grandkid[PAGES];
	char name[32];

	setup(argc, argv);
	copies = argc > 2 && !strcmp(argv[2], "copies");
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(area != MAP_FAILED && !madvise(area, PAGES * PAGE, MADV_NOHUGEPAGE));
	for (int i = 0; i < PAGES; i++)
		memset(area + i * PAGE, 'p', PAGE);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	slurp(in_dir("grandchild"), name, sizeof(name));
	pid_t grandpid = atoi(name);
	long before = pss_kb(getpid()) + pss_kb(pid) + pss_kb(grandpid);
	park();
	await("copied");
	long after = pss_kb(getpid()) + pss_kb(pid) + pss_kb(grandpid);
	if (after > before + before / 20)
		bad("the tree uses %ld kB, before it was %ld kB", after, before);
	pfns(getpid(), own);
	pfns(pid, kid);
	pfns(grandpid, grandkid);
	NEED(own[0]);
	for (int i = 0; i < PAGES; i++) {
		SAME(own[i] == kid[i], i % 10 != 1);
		SAME(kid[i] == grandkid[i], i % 10 != 2);
		SAME(own[i] == grandkid[i], i % 10 != 1 && i % 10 != 2);
	}
	say("compared", "");
	need_exit(pid, 0);
	for (int i = 0; i < PAGES; i++)
		SAME(area[i * PAGE], 'p');
	ok();
}
