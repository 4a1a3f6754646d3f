/*
 * Scheduling of each thread: policy, real-time priority, reset-on-fork, nice.
 * PROVES: F060
 */
#include "check.h"
#include <pthread.h>
#include <sys/resource.h>

#define RESET 0x40000000

static const struct {
	int policy, priority, nice;
} kind[] = {
	{SCHED_OTHER, 0, 0},
	{SCHED_OTHER, 0, -7},
	{SCHED_OTHER, 0, 19},
	{SCHED_BATCH, 0, 3},
	{SCHED_IDLE, 0, 0},
	{SCHED_FIFO, 5, 0},
	{SCHED_RR, 42, 0},
	{SCHED_RR | RESET, 1, 0},
	{SCHED_OTHER | RESET, 0, 11},
	{SCHED_FIFO, 1, -3},
};
enum { KINDS = sizeof(kind) / sizeof(kind[0]) };

static volatile int up;
static volatile bool refused;

static void *thread(void *arg)
{
	int k = (long)arg;
	struct sched_param param = {.sched_priority = kind[k].priority}, now;

	NEED(!setpriority(PRIO_PROCESS, 0, kind[k].nice));
	if (syscall(SYS_sched_setscheduler, 0, kind[k].policy, &param))
		refused = true;
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	SAME(syscall(SYS_sched_getscheduler, 0), kind[k].policy);
	NEED(!syscall(SYS_sched_getparam, 0, &now));
	SAME(now.sched_priority, kind[k].priority);
	errno = 0;
	SAME(getpriority(PRIO_PROCESS, 0), kind[k].nice);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[KINDS];

	setup(argc, argv);
	for (long i = 0; i < KINDS; i++)
		NEED(!pthread_create(&t[i], NULL, thread, (void *)i));
	while (up < KINDS)
		nap_ms(1);
	if (refused)
		skip("real-time scheduling is not permitted here");
	NEED(!setpriority(PRIO_PROCESS, 0, 4));
	park();
	SAME(getpriority(PRIO_PROCESS, 0), 4);
	SAME(sched_getscheduler(0), SCHED_OTHER);
	for (int i = 0; i < KINDS; i++)
		NEED(!pthread_join(t[i], NULL));
	ok();
}
