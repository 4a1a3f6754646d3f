/*
 * What each thread may set for itself beyond what the reference's images can hold: I/O priority,
 * machine check policy, faults on the time stamp counter, time slice, CPU affinity, NUMA policy.
 * One thread sets it all, another nothing, a third has made itself realtime.
 * PROVES: F060
 */
#include "check.h"
#include <linux/mempolicy.h>
#include <pthread.h>

#define PR_TSC_ 25 /* PR_GET_TSC; PR_SET_TSC is the next */
#define IO_BEST_EFFORT_7 (2 << 13 | 7)
#define IO_IDLE (3 << 13)

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

struct settings {
	long ioprio, mce, tsc, cpus, numa_mode, numa_nodes;
	struct attr sched;
};

static volatile int up;

static struct settings look(void)
{
	struct settings s = {0};
	unsigned long nodes[16] = {0};
	int tsc = 0, mode = 0;

	s.ioprio = syscall(SYS_ioprio_get, 1, 0);
	s.mce = prctl(PR_MCE_KILL_GET, 0, 0, 0, 0);
	prctl(PR_TSC_, &tsc);
	s.tsc = tsc;
	syscall(SYS_sched_getaffinity, 0, sizeof(s.cpus), &s.cpus);
	syscall(SYS_get_mempolicy, &mode, nodes, 1025L, NULL, 0L);
	s.numa_mode = mode;
	s.numa_nodes = nodes[0];
	NEED(!syscall(SYS_sched_getattr, 0, &s.sched, sizeof(s.sched), 0));
	return s;
}

static void compare(const struct settings *a)
{
	struct settings b = look();

	SAME(b.ioprio, a->ioprio);
	SAME(b.mce, a->mce);
	SAME(b.tsc, a->tsc);
	SAME(b.cpus, a->cpus);
	SAME(b.numa_mode, a->numa_mode);
	SAME(b.numa_nodes, a->numa_nodes);
	SAME(b.sched.policy, a->sched.policy);
	SAME(b.sched.nice, a->sched.nice);
	SAME(b.sched.flags, a->sched.flags);
	SAME(b.sched.runtime, a->sched.runtime);
	SAME(b.sched.util_min, a->sched.util_min);
	SAME(b.sched.util_max, a->sched.util_max);
}

/* The machine may lack any of it. */
static void *all(void *unused)
{
	unsigned long node = 1, cpu = 1;
	struct attr a = {.size = sizeof(a), .policy = SCHED_BATCH, .nice = 3, .flags = 1};

	a.runtime = 7654321;
	syscall(SYS_ioprio_set, 1, 0, IO_BEST_EFFORT_7);
	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	syscall(SYS_sched_setaffinity, 0, sizeof(cpu), &cpu);
	syscall(SYS_set_mempolicy, MPOL_BIND | MPOL_F_STATIC_NODES, &node, 64L);
	syscall(SYS_sched_setattr, 0, &a, 0);
	struct settings before = look();
	SAME(before.ioprio, IO_BEST_EFFORT_7);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	compare(&before);
	return unused;
}

static void *nothing(void *unused)
{
	struct settings before = look();

	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	compare(&before);
	return unused;
}

static void *realtime(void *unused)
{
	struct sched_param param = {.sched_priority = 2};

	NEED(!prctl(PR_SET_TIMERSLACK, 777));
	if (!syscall(SYS_sched_setscheduler, 0, SCHED_RR, &param))
		SAME(prctl(PR_GET_TIMERSLACK), 0);
	syscall(SYS_ioprio_set, 1, 0, IO_IDLE);
	syscall(SYS_set_mempolicy, MPOL_LOCAL, NULL, 0L);
	/* await() reads the clock, which needs the counter in this very thread */
	struct settings before = look();
	long slack = prctl(PR_GET_TIMERSLACK);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	compare(&before);
	SAME(prctl(PR_GET_TIMERSLACK), slack);
	return unused;
}

/* Sleeps without looking at a clock. */
static void *no_clock(void *unused)
{
	NEED(!prctl(PR_TSC_ + 1, 2));
	struct settings before = look();
	SAME(before.tsc, 2);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	compare(&before);
	return unused;
}

int main(int argc, char **argv)
{
	void *(*const body[])(void *) = {all, nothing, realtime, no_clock};
	pthread_t t[4];

	setup(argc, argv);
	for (int i = 0; i < 4; i++)
		NEED(!pthread_create(&t[i], NULL, body[i], NULL));
	while (up < 4)
		nap_ms(1);
	struct settings before = look();
	park();
	compare(&before);
	for (int i = 0; i < 4; i++)
		NEED(!pthread_join(t[i], NULL));
	ok();
}
