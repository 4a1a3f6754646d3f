/*
 * A thousand threads that wait on one condition; each has its own TID, name and TLS value.
 * VARIANTS: plain cycles leave_running child
 * PROVES: F004 F022
 * TIMEOUT: 60
 */
#include "check.h"
#include <pthread.h>

enum { THREADS = 1000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER, up_cond = PTHREAD_COND_INITIALIZER;
static int up, passed;
static bool go;
static __thread long local;

static void *thread(void *arg)
{
	pid_t tid = syscall(SYS_gettid);
	char name[16], now[16];

	local = (long)arg * 3;
	snprintf(name, sizeof(name), "t%ld", (long)arg);
	prctl(PR_SET_NAME, name);
	pthread_mutex_lock(&mutex);
	up++;
	pthread_cond_signal(&up_cond);
	while (!go)
		pthread_cond_wait(&cond, &mutex);
	passed++;
	pthread_mutex_unlock(&mutex);
	SAME(syscall(SYS_gettid), tid);
	SAME(local, (long)arg * 3);
	prctl(PR_GET_NAME, now);
	NEED(!strcmp(name, now));
	return arg;
}

int main(int argc, char **argv)
{
	static pthread_t t[THREADS];
	pthread_attr_t attr;
	void *value;

	setup(argc, argv);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (long i = 0; i < THREADS; i++)
		NEED(!pthread_create(&t[i], &attr, thread, (void *)i));
	pthread_mutex_lock(&mutex);
	while (up < THREADS)
		pthread_cond_wait(&up_cond, &mutex);
	pthread_mutex_unlock(&mutex);
	park();
	pthread_mutex_lock(&mutex);
	go = true;
	SAME(passed, 0);
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	for (long i = 0; i < THREADS; i++)
		NEED(!pthread_join(t[i], &value) && value == (void *)i);
	SAME(passed, THREADS);
	ok();
}
