/*
 * A tree that never stands still: children and threads are made and die all the time. Whatever
 * moment the dump hits, the survivors go on, and every exit code arrives.
 * PROVES: F031 F033
 */
#include "check.h"
#include <pthread.h>

enum { FORKERS = 3, SPINNERS = 2 };

static volatile bool stop;

static void *thread(void *arg)
{
	return arg;
}

static void forker(void *arg)
{
	int id = *(int *)arg;

	say("forking", "");
	for (int i = 0; !released(); i++) {
		pid_t pid = fork();

		NEED(pid >= 0);
		if (pid == 0)
			_exit((i + id) % 100);
		need_exit(pid, (i + id) % 100);
	}
	NEED(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static void *spinner(void *unused)
{
	pthread_t t;
	void *value;

	for (long i = 0; !stop; i++) {
		NEED(!pthread_create(&t, NULL, thread, (void *)i));
		NEED(!pthread_join(t, &value) && value == (void *)i);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t t[SPINNERS];
	pid_t pid[FORKERS];

	setup(argc, argv);
	for (int i = 0; i < FORKERS; i++)
		pid[i] = spawn(forker, &i);
	for (int i = 0; i < SPINNERS; i++)
		NEED(!pthread_create(&t[i], NULL, spinner, NULL));
	await("forking");
	nap_ms(30);
	park();
	stop = true;
	for (int i = 0; i < SPINNERS; i++)
		NEED(!pthread_join(t[i], NULL));
	for (int i = 0; i < FORKERS; i++)
		need_exit(pid[i], 0);
	ok();
}
