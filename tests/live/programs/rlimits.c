/*
 * All resource limits, soft and hard, of a parent and of a child with others.
 * PROVES: F009 F010
 */
#include "check.h"
#include <sys/resource.h>

static void lower(int which, rlim_t soft, rlim_t hard, struct rlimit *kept)
{
	struct rlimit now, want = {soft, hard};

	NEED(!getrlimit(which, &now));
	if (want.rlim_max > now.rlim_max)
		want.rlim_max = now.rlim_max;
	if (want.rlim_cur > want.rlim_max)
		want.rlim_cur = want.rlim_max;
	if (setrlimit(which, &want))
		bad("setrlimit %d", which);
	*kept = want;
}

static void check(const struct rlimit *kept)
{
	struct rlimit now;

	for (int i = 0; i < RLIM_NLIMITS; i++) {
		NEED(!getrlimit(i, &now));
		if (now.rlim_cur != kept[i].rlim_cur || now.rlim_max != kept[i].rlim_max)
			bad("limit %d is %ld:%ld, not %ld:%ld", i, (long)now.rlim_cur,
				(long)now.rlim_max, (long)kept[i].rlim_cur, (long)kept[i].rlim_max);
	}
}

static void limits(void *arg)
{
	long shift = *(long *)arg;
	struct rlimit kept[RLIM_NLIMITS];

	for (int i = 0; i < RLIM_NLIMITS; i++)
		NEED(!getrlimit(i, &kept[i]));
	lower(RLIMIT_CPU, 5000 + shift, 6000 + shift, &kept[RLIMIT_CPU]);
	lower(RLIMIT_FSIZE, (10 << 20) + shift, (20 << 20) + shift, &kept[RLIMIT_FSIZE]);
	lower(RLIMIT_DATA, (64 << 20) + shift, RLIM_INFINITY, &kept[RLIMIT_DATA]);
	lower(RLIMIT_STACK, (2 << 20) + (shift & ~4095), 64 << 20, &kept[RLIMIT_STACK]);
	lower(RLIMIT_CORE, 0, 4096 + shift, &kept[RLIMIT_CORE]);
	lower(RLIMIT_RSS, 100 << 20, (200 << 20) + shift, &kept[RLIMIT_RSS]);
	lower(RLIMIT_NOFILE, 33 + shift, 99 + shift, &kept[RLIMIT_NOFILE]);
	lower(RLIMIT_MEMLOCK, 65536, 131072 + shift, &kept[RLIMIT_MEMLOCK]);
	lower(RLIMIT_AS, (1UL << 33) + shift, 1UL << 34, &kept[RLIMIT_AS]);
	lower(RLIMIT_LOCKS, 5 + shift, 10 + shift, &kept[RLIMIT_LOCKS]);
	lower(RLIMIT_SIGPENDING, 11 + shift, 500 + shift, &kept[RLIMIT_SIGPENDING]);
	lower(RLIMIT_MSGQUEUE, 0, 1000 + shift, &kept[RLIMIT_MSGQUEUE]);
	lower(RLIMIT_RTTIME, 100000 + shift, 200000 + shift, &kept[RLIMIT_RTTIME]);
	if (shift)
		child_park();
	else
		park();
	check(kept);
}

int main(int argc, char **argv)
{
	long shift = 7;

	setup(argc, argv);
	pid_t pid = spawn(limits, &shift);
	await_child(pid);
	shift = 0;
	limits(&shift);
	need_exit(pid, 0);
	ok();
}
