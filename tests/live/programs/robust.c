/*
 * Robust futexes: the list head of each thread is where it was, and when an owner dies after the
 * restore its waiter hears EOWNERDEAD.
 * PROVES: F021
 */
#include "check.h"
#include <pthread.h>

struct shared {
	pthread_mutex_t mutex[2];
};

static void head_of(pid_t tid, void **head, size_t *len)
{
	NEED(!syscall(SYS_get_robust_list, tid, head, len));
}

static void owner(void *arg)
{
	struct shared *s = arg;
	void *head, *now;
	size_t len, len_now;

	NEED(!pthread_mutex_lock(&s->mutex[0]) && !pthread_mutex_lock(&s->mutex[1]));
	head_of(0, &head, &len);
	child_park();
	head_of(0, &now, &len_now);
	NEED(head && head == now);
	SAME(len, len_now);
	nap_ms(100);
	_exit(0); /* with both mutexes held */
}

static void *thread(void *arg)
{
	struct shared *s = arg;

	SAME(pthread_mutex_lock(&s->mutex[1]), EOWNERDEAD);
	NEED(!pthread_mutex_consistent(&s->mutex[1]) && !pthread_mutex_unlock(&s->mutex[1]));
	return NULL;
}

int main(int argc, char **argv)
{
	struct shared *s =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;
	pthread_t t;

	setup(argc, argv);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	NEED(!pthread_mutex_init(&s->mutex[0], &attr) && !pthread_mutex_init(&s->mutex[1], &attr));
	pid_t pid = spawn(owner, s);
	await_child(pid);
	NEED(!pthread_create(&t, NULL, thread, s)); /* waits from before the dump */
	await_threads_asleep();
	park();
	SAME(pthread_mutex_lock(&s->mutex[0]), EOWNERDEAD);
	NEED(!pthread_join(t, NULL));
	need_exit(pid, 0);
	ok();
}
