/*
 * Locked memory of a task that has dropped its privileges since: mlock, on fault, mlockall for
 * the future.
 * PROVES: F069
 */
#include "check.h"

static long locked_kb(void)
{
	char buf[4096], *p;

	slurp("/proc/self/status", buf, sizeof(buf));
	p = strstr(buf, "VmLck:");
	NEED(p);
	return atol(p + 6);
}

static char *anon(size_t pages)
{
	char *p = mmap(
		NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(p != MAP_FAILED);
	return p;
}

static void child(void *unused)
{
	char *some = anon(20), *on_fault = anon(10);

	(void)unused;
	fill(some, 20 * PAGE, 1);
	NEED(!mlock(some + 2 * PAGE, 11 * PAGE));
	NEED(!mlock2(on_fault, 10 * PAGE, MLOCK_ONFAULT));
	on_fault[0] = 'f';
	NEED(!setresuid(1000, 1000, 1000));
	long before = locked_kb();
	SAME(before, 84);
	child_park();
	SAME(locked_kb(), before);
	need_filled(some, 20 * PAGE, 1);
	NEED(on_fault[0] == 'f' && !munlock(some + 2 * PAGE, 11 * PAGE));
	SAME(locked_kb(), 40);
}

static void everything(void *unused)
{
	(void)unused;
	NEED(!mlockall(MCL_CURRENT | MCL_FUTURE));
	char *p = anon(10);
	fill(p, 10 * PAGE, 2);
	long before = locked_kb();
	child_park();
	SAME(locked_kb(), before);
	need_filled(p, 10 * PAGE, 2);
	anon(3);
	SAME(locked_kb(), before + 12);
}

/* What is mapped later is locked, but only as it is touched. */
static void future_on_fault(void *unused)
{
	unsigned char resident;

	(void)unused;
	NEED(!mlockall(MCL_FUTURE | MCL_ONFAULT));
	anon(5);
	SAME(locked_kb(), 20);
	child_park();
	SAME(locked_kb(), 20);
	char *p = anon(3);
	SAME(locked_kb(), 32);
	NEED(!mincore(p, PAGE, &resident) && !(resident & 1));
}

/* Locks of the past say nothing of the future. */
static void past(void *unused)
{
	(void)unused;
	NEED(!mlockall(MCL_CURRENT));
	long before = locked_kb();
	child_park();
	SAME(locked_kb(), before);
	anon(3);
	SAME(locked_kb(), before);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	void (*const body[])(void *) = {child, everything, future_on_fault, past};
	pid_t pid[4];
	for (int i = 0; i < 4; i++) {
		pid[i] = spawn(body[i], NULL);
		await_child(pid[i]);
	}
	park();
	for (int i = 0; i < 4; i++)
		need_exit(pid[i], 0);
	ok();
}
