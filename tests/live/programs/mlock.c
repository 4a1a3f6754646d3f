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
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	pid_t a = spawn(child, NULL), b = spawn(everything, NULL);
	await_child(a);
	await_child(b);
	park();
	need_exit(a, 0);
	need_exit(b, 0);
	ok();
}
