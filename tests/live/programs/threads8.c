/*
 * Eight threads keep their TIDs, names, signal masks, TLS, nice values and their work: each goes
 * on computing a chain through the dump, and can be joined afterwards.
 * PROVES: F004
 */
#include "check.h"
#include <pthread.h>
#include <sys/resource.h>

enum { THREADS = 8 };

static __thread uint64_t local;
static pid_t tids[THREADS];
static volatile int up;
static volatile bool stop;

static void *work(void *arg)
{
	long id = (long)arg;
	uint64_t steps = 0, check = id;
	char name[16], now[16];
	sigset_t mask, old;

	tids[id] = syscall(SYS_gettid);
	snprintf(name, sizeof(name), "worker/%ld", id);
	prctl(PR_SET_NAME, name);
	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN + id);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	NEED(!setpriority(PRIO_PROCESS, tids[id], id));
	local = id;
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	for (; !stop; steps++) {
		local = mix(local);
		if (steps % 64 == 0)
			nap_ms(1);
	}
	for (uint64_t i = 0; i < steps; i++)
		check = mix(check);
	NEED(check == local);
	SAME(syscall(SYS_gettid), tids[id]);
	prctl(PR_GET_NAME, now);
	NEED(!strcmp(now, name));
	pthread_sigmask(SIG_SETMASK, NULL, &old);
	for (int sig = 1; sig < SIGRTMAX; sig++)
		SAME(sigismember(&old, sig), sigismember(&mask, sig));
	SAME(getpriority(PRIO_PROCESS, tids[id]), id);
	return (void *)(id + 100);
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS];
	void *value;

	setup(argc, argv);
	for (long i = 0; i < THREADS; i++)
		NEED(!pthread_create(&thread[i], NULL, work, (void *)i));
	while (up < THREADS)
		nap_ms(1);
	park();
	stop = true;
	for (long i = 0; i < THREADS; i++) {
		NEED(!pthread_join(thread[i], &value));
		SAME((long)value, i + 100);
	}
	ok();
}
