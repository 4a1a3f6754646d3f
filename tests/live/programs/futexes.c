/*
 * Contention goes on through the dump: threads on a mutex and a condition, processes on shared
 * ones, a waiter on a priority-inheriting mutex, a barrier that is half full.
 * PROVES: F022
 */
#include "check.h"
#include <pthread.h>

enum { WORKERS = 4 };

struct shared {
	pthread_mutex_t mutex, pi;
	pthread_cond_t turn;
	pthread_barrier_t half;
	long count, next;
	volatile int up;
	volatile bool stop;
};

static void init(struct shared *s, int shared)
{
	pthread_mutexattr_t m;
	pthread_condattr_t c;
	pthread_barrierattr_t b;

	pthread_mutexattr_init(&m);
	pthread_mutexattr_setpshared(&m, shared);
	pthread_mutex_init(&s->mutex, &m);
	pthread_mutexattr_setprotocol(&m, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&s->pi, &m);
	pthread_condattr_init(&c);
	pthread_condattr_setpshared(&c, shared);
	pthread_cond_init(&s->turn, &c);
	pthread_barrierattr_init(&b);
	pthread_barrierattr_setpshared(&b, shared);
	pthread_barrier_init(&s->half, &b, WORKERS + 1);
}

/*
 * Workers count in turns; nobody may miss or take a turn twice.  A turn takes a moment, and the
 * others queue for the mutex meanwhile: turns without a pause make a chain of wake-ups that some
 * schedulers (seen: Linux 6.18 with autogroups) let run before everything else, for minutes.
 */
static void work(struct shared *s, long id)
{
	pthread_mutex_lock(&s->mutex);
	s->up++;
	while (!s->stop) {
		while (s->next % WORKERS != id && !s->stop)
			pthread_cond_wait(&s->turn, &s->mutex);
		if (s->stop)
			break;
		s->count++;
		s->next++;
		pthread_cond_broadcast(&s->turn);
		nap_us(500);
	}
	pthread_cond_broadcast(&s->turn);
	pthread_mutex_unlock(&s->mutex);
	pthread_mutex_lock(&s->pi);
	pthread_mutex_unlock(&s->pi);
	pthread_barrier_wait(&s->half);
}

static struct shared private, *common;

static void *thread(void *arg)
{
	work(&private, (long)arg);
	return arg;
}

static void process(void *arg)
{
	work(common, *(long *)arg);
}

static volatile int waiting;

static void *pi_waiter(void *s)
{
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&((struct shared *)s)->pi);
	pthread_mutex_unlock(&((struct shared *)s)->pi);
	return s;
}

static void finish(struct shared *s)
{
	long before, after;

	pthread_mutex_lock(&s->mutex);
	before = s->count;
	pthread_mutex_unlock(&s->mutex);
	nap_ms(30);
	pthread_mutex_lock(&s->mutex);
	after = s->count;
	SAME(s->count, s->next);
	s->stop = true;
	pthread_cond_broadcast(&s->turn);
	pthread_mutex_unlock(&s->mutex);
	NEED(after > before);
	nap_ms(10);
	SAME(pthread_mutex_unlock(&s->pi), 0);
	pthread_barrier_wait(&s->half);
}

int main(int argc, char **argv)
{
	pthread_t t[WORKERS], waiter[2];
	pid_t pid[WORKERS];

	setup(argc, argv);
	common = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(common != MAP_FAILED);
	init(&private, PTHREAD_PROCESS_PRIVATE);
	init(common, PTHREAD_PROCESS_SHARED);
	pthread_mutex_lock(&private.pi);
	pthread_mutex_lock(&common->pi);
	for (long i = 0; i < WORKERS; i++)
		pid[i] = spawn(process, &i);
	for (long i = 0; i < WORKERS; i++)
		NEED(!pthread_create(&t[i], NULL, thread, (void *)i));
	NEED(!pthread_create(&waiter[0], NULL, pi_waiter, &private));
	NEED(!pthread_create(&waiter[1], NULL, pi_waiter, common));
	while (private.up < WORKERS || common->up < WORKERS || waiting < 2)
		nap_ms(1);
	nap_ms(20);
	park();
	finish(&private);
	finish(common);
	for (int i = 0; i < WORKERS; i++) {
		NEED(!pthread_join(t[i], NULL));
		need_exit(pid[i], 0);
	}
	NEED(!pthread_join(waiter[0], NULL) && !pthread_join(waiter[1], NULL));
	ok();
}
