/*
 * Each thread has filters of its own: none, one, a chain; one with no_new_privs.
 * PROVES: F314 F318 F004
 */
#include "seccomp.h"
#include <pthread.h>

#ifndef COUNT
#define COUNT 4
#endif
enum { THREADS = COUNT, KINDS = 4 };

static volatile int up;

static void *thread(void *arg)
{
	long id = (long)arg % KINDS;

	if (id == 2)
		NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	for (int i = 0; i < id; i++)
		deny(SYS_getuid + i, 100 + id, 0);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	SAME(outcome(SYS_getuid), id > 0 ? 100 + id : 0);
	SAME(outcome(SYS_getuid + 2), id > 2 ? 100 + id : 0);
	SAME(prctl(PR_GET_SECCOMP), id ? 2 : 0);
	SAME(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), id == 2);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[THREADS];

	setup(argc, argv);
	for (long i = 0; i < THREADS; i++)
		NEED(!pthread_create(&t[i], NULL, thread, (void *)i));
	while (up < THREADS)
		nap_ms(1);
	park();
	SAME(prctl(PR_GET_SECCOMP), 0);
	SAME(outcome(SYS_getuid), 0);
	for (int i = 0; i < THREADS; i++)
		NEED(!pthread_join(t[i], NULL));
	ok();
}
