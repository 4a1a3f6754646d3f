/*
 * A filter put on all threads at once (TSYNC) is on all of them afterwards, and one can be put on
 * all of them again.
 * PROVES: F314
 */
#include "seccomp.h"
#include <pthread.h>

static volatile int up;
static pthread_barrier_t gate;

static void *thread(void *unused)
{
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	SAME(outcome(SYS_getgid), 122);
	SAME(outcome(SYS_geteuid), 0);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	SAME(outcome(SYS_geteuid), 123);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t t[3];

	setup(argc, argv);
	NEED(!pthread_barrier_init(&gate, NULL, 4));
	for (int i = 0; i < 3; i++)
		NEED(!pthread_create(&t[i], NULL, thread, NULL));
	while (up < 3)
		nap_ms(1);
	deny(SYS_getgid, 122, SECCOMP_FILTER_FLAG_TSYNC);
	park();
	SAME(outcome(SYS_getgid), 122);
	pthread_barrier_wait(&gate);
	deny(SYS_geteuid, 123, SECCOMP_FILTER_FLAG_TSYNC);
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 3; i++)
		NEED(!pthread_join(t[i], NULL));
	ok();
}
