/*
 * Time calls through the vDSO work and agree with the system calls; the areas are in the memory
 * map; the functions are where the auxiliary vector says. PROVES: F057
 */
#include "check.h"
#include <sys/auxv.h>
#include <sys/time.h>

static int64_t ns(const struct timespec *t)
{
	return t->tv_sec * 1000000000LL + t->tv_nsec;
}

/* A vDSO answer lies between two system call answers. */
static void need_time(clockid_t clock)
{
	struct timespec before, fast, after;
	/* The coarse clocks answer with the last tick. */
	int64_t slack =
		clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_REALTIME_COARSE ? 20000000 : 0;

	for (int i = 0; i < 1000; i++) {
		NEED(!syscall(SYS_clock_gettime, clock, &before));
		NEED(!clock_gettime(clock, &fast));
		NEED(!syscall(SYS_clock_gettime, clock, &after));
		NEED(ns(&before) - slack <= ns(&fast) && ns(&fast) <= ns(&after) + slack);
	}
}

static void need_areas(void)
{
	static char maps[1 << 16];
	unsigned long start;

	slurp("/proc/self/maps", maps, sizeof(maps));
	char *vdso = strstr(maps, "[vdso]");
	NEED(vdso && strstr(maps, "[vvar]"));
	while (vdso > maps && vdso[-1] != '\n')
		vdso--;
	NEED(sscanf(vdso, "%lx-", &start) == 1);
	NEED(start == getauxval(AT_SYSINFO_EHDR));
	NEED(!memcmp((void *)start, "\177ELF", 4));
}

int main(int argc, char **argv)
{
	struct timeval tv;
	unsigned int cpu;
	time_t t;

	setup(argc, argv);
	need_areas();
	need_time(CLOCK_REALTIME);
	park();
	need_areas();
	need_time(CLOCK_REALTIME);
	need_time(CLOCK_MONOTONIC);
	need_time(CLOCK_BOOTTIME);
	need_time(CLOCK_TAI);
	need_time(CLOCK_MONOTONIC_RAW);
	need_time(CLOCK_MONOTONIC_COARSE);
	need_time(CLOCK_REALTIME_COARSE);
	NEED(!gettimeofday(&tv, NULL));
	t = time(NULL);
	NEED(t == tv.tv_sec || t == tv.tv_sec + 1);
	NEED(!getcpu(&cpu, NULL) && cpu < 4096);
	ok();
}
