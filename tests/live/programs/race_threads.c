/*
 * Threads made, joined, detached and cancelled as fast as it goes, by threads of two processes:
 * every value arrives, and what is a thread's own stays so.
 * PROVES: F033
 * VARIANTS: scenario
 */
#include "race.h"
#include <semaphore.h>

static __thread long own;

static void *echo(void *arg)
{
	own = (long)arg;
	for (int i = 0; i < 50; i++)
		NEED(own == (long)arg);
	return (void *)own;
}

static void *joiner(void *arg)
{
	for (long i = 0; racing(); i++) {
		pthread_t t[3];
		void *value;

		for (int k = 0; k < 3; k++)
			t[k] = race_thread(echo, i * 3 + k);
		for (int k = 0; k < 3; k++)
			NEED(!pthread_join(t[k], &value) && value == (void *)(i * 3 + k));
		race_beat((long)arg);
	}
	return NULL;
}

static sem_t detached_done;

static void *detached(void *unused)
{
	pthread_detach(pthread_self());
	NEED(!sem_post(&detached_done));
	return unused;
}

static void *detacher(void *arg)
{
	while (racing()) {
		race_thread(detached, 0);
		while (sem_wait(&detached_done))
			bad("sem_wait");
		race_beat((long)arg);
	}
	return NULL;
}

static void *waiter(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void *canceller(void *arg)
{
	while (racing()) {
		pthread_t t = race_thread(waiter, 0);
		void *value;

		NEED(!pthread_cancel(t));
		NEED(!pthread_join(t, &value) && value == PTHREAD_CANCELED);
		race_beat((long)arg);
	}
	return NULL;
}

static void all(const int beat[4])
{
	void *(*const body[])(void *) = {joiner, joiner, detacher, canceller};
	pthread_t t[4];

	NEED(!sem_init(&detached_done, 0, 0));
	for (int i = 0; i < 4; i++)
		t[i] = race_thread(body[i], beat[i]);
	for (int i = 0; i < 4; i++)
		NEED(!pthread_join(t[i], NULL));
}

static void child(void *arg)
{
	all(arg);
}

static void *thread(void *arg)
{
	all(arg);
	return NULL;
}

int main(int argc, char **argv)
{
	int beat[2][4];
	pthread_t t;
	pid_t pid;

	race_setup(argc, argv);
	for (int i = 0; i < 8; i++)
		beat[i / 4][i % 4] = race_join();
	pid = spawn(child, beat[0]);
	t = race_thread(thread, (long)beat[1]);
	race_ready();
	NEED(!pthread_join(t, NULL));
	need_exit(pid, 0);
	ok();
}
