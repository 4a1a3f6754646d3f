/*
 * Threads that block every signal, some or none, in a process that catches SIGURG: none of them
 * ever gets a signal that nobody sent.
 * PROVES: F004
 */
#include "check.h"
#include <pthread.h>

#ifndef COUNT
#define COUNT 12
#endif
enum { THREADS = COUNT };

static volatile int up, caught;
static volatile bool stop;

static void on_urgent(int signo)
{
	(void)signo;
	caught++;
}

static void mask_of(long id, sigset_t *ret)
{
	sigemptyset(ret);
	if (id % 3 == 0)
		sigfillset(ret);
	else if (id % 3 == 1)
		sigaddset(ret, SIGWINCH);
	sigdelset(ret, SIGKILL);
	sigdelset(ret, SIGSTOP);
}

static void *work(void *arg)
{
	sigset_t mask, now, pending;

	mask_of((long)arg, &mask);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	while (!stop)
		nap_ms(1);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	for (int sig = 1; sig < SIGRTMAX; sig++)
		if (sig < 32 || sig > 34) /* the C library keeps those */
			SAME(sigismember(&now, sig), sigismember(&mask, sig));
	NEED(!sigpending(&pending));
	SAME(sigismember(&pending, SIGURG), 0);
	SAME(sigismember(&pending, SIGWINCH), 0);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS];

	setup(argc, argv);
	signal(SIGURG, on_urgent);
	for (long i = 0; i < THREADS; i++)
		NEED(!pthread_create(&thread[i], NULL, work, (void *)i));
	while (up < THREADS)
		nap_ms(1);
	park();
	stop = true;
	for (int i = 0; i < THREADS; i++)
		NEED(!pthread_join(thread[i], NULL));
	SAME(caught, 0);
	ok();
}
