/*
 * A vDSO of another kernel: the functions the program knows go on giving the right time, through
 * the ones of the kernel it runs on. Run by test_lifecycle: test_foreign_vdso.
 * VARIANTS: plain
 */
#include "check.h"
#include <sys/time.h>

static int64_t ns(const struct timespec *t)
{
	return t->tv_sec * 1000000000LL + t->tv_nsec;
}

static void need_time(clockid_t clock)
{
	struct timespec before, fast, after;

	for (int i = 0; i < 1000; i++) {
		NEED(!syscall(SYS_clock_gettime, clock, &before));
		NEED(!clock_gettime(clock, &fast));
		NEED(!syscall(SYS_clock_gettime, clock, &after));
		NEED(ns(&before) <= ns(&fast) && ns(&fast) <= ns(&after));
	}
}

int main(int argc, char **argv)
{
	struct timespec res;
	struct timeval tv;
	unsigned int cpu = ~0u;

	setup(argc, argv);
	need_time(CLOCK_MONOTONIC);
	park();
	need_time(CLOCK_REALTIME);
	need_time(CLOCK_MONOTONIC);
	need_time(CLOCK_BOOTTIME);
	NEED(!gettimeofday(&tv, NULL) && llabs((long long)tv.tv_sec - time(NULL)) <= 1);
	NEED(!getcpu(&cpu, NULL) && cpu < 4096);
	NEED(!clock_getres(CLOCK_MONOTONIC, &res) && res.tv_sec == 0 && res.tv_nsec > 0);
	ok();
}
