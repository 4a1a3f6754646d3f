/*
 * The timer slack of each thread.
 * PROVES: F060
 */
#include "check.h"
#include <pthread.h>

static volatile int up;

static void *thread(void *arg)
{
	prctl(PR_SET_TIMERSLACK, (long)arg);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	SAME(prctl(PR_GET_TIMERSLACK), (long)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t a, b;

	setup(argc, argv);
	prctl(PR_SET_TIMERSLACK, 7777777);
	NEED(!pthread_create(&a, NULL, thread, (void *)1));
	NEED(!pthread_create(&b, NULL, thread, (void *)123456));
	while (up < 2)
		nap_ms(1);
	park();
	SAME(prctl(PR_GET_TIMERSLACK), 7777777);
	NEED(!pthread_join(a, NULL) && !pthread_join(b, NULL));
	ok();
}
