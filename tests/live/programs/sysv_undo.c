/*
 * What the end of a process undoes of semaphores (SEM_UNDO): in processes and in one with threads,
 * up and down, as far as it goes, of several semaphores and sets; none where only others were used.
 * PROVES: F087
 */
#include "check.h"

#include <pthread.h>
#include <sys/ipc.h>
#include <sys/sem.h>

enum { SEMS = 4, CENTRE = 100 };

static int sets[2];

static void change(int set, int number, int by, int flags)
{
	struct sembuf op = {number, by, flags | IPC_NOWAIT};

	NEED(!semop(sets[set], &op, 1));
}

/* An adjustment, with the value as it was; by way of a higher or of a lower one. */
static void adjust(int set, int number, int adjustment)
{
	if (adjustment > 0) {
		change(set, number, adjustment, 0);
		change(set, number, -adjustment, SEM_UNDO);
	} else {
		change(set, number, -adjustment, SEM_UNDO);
		change(set, number, adjustment, 0);
	}
}

static void adjust_below(int set, int number, int adjustment)
{
	change(set, number, -abs(adjustment), adjustment > 0 ? SEM_UNDO : 0);
	change(set, number, abs(adjustment), adjustment > 0 ? 0 : SEM_UNDO);
}

static void holder(void *unused)
{
	(void)unused;
	change(0, 0, -10, SEM_UNDO);
	adjust(0, 1, -7);
	adjust(1, 0, 1);
	child_park();
}

static void *other_thread(void *done)
{
	adjust(1, 1, -1);
	*(volatile int *)done = 1;
	await("release");
	nap_ms(5);
	return NULL;
}

static void with_threads(void *unused)
{
	pthread_t thread;
	volatile int done = 0;

	(void)unused;
	NEED(!pthread_create(&thread, NULL, other_thread, (void *)&done));
	change(0, 0, 20, SEM_UNDO);
	change(0, 2, 32767 - CENTRE, SEM_UNDO);
	adjust(0, 3, 99);
	while (!done)
		nap_ms(1);
	child_park();
	NEED(!pthread_join(thread, NULL));
}

/* To the ends of what an adjustment can be. */
static void far(void *unused)
{
	(void)unused;
	for (int i = 0; i < 327; i++) {
		adjust_below(1, 2, 100);
		adjust(1, 3, -100);
	}
	child_park();
	adjust_below(1, 2, -32600);
	adjust(1, 3, 32600);
}

static void user_without(void *unused)
{
	(void)unused;
	change(0, 0, 3, 0);
	child_park();
}

static void need(int set, int number, int value)
{
	int now = semctl(sets[set], number, GETVAL);

	if (now != value)
		bad("semaphore %d of set %d is %d, not %d", number, set, now, value);
}

int main(int argc, char **argv)
{
	void (*const bodies[])(void *) = {holder, with_threads, far, user_without};
	enum { N = sizeof(bodies) / sizeof(*bodies) };
	pid_t pids[N];

	setup(argc, argv);
	for (int i = 0; i < 2; i++) {
		sets[i] = semget(IPC_PRIVATE, SEMS, IPC_CREAT | 0600);
		NEED(sets[i] >= 0);
		for (int k = 0; k < SEMS; k++)
			change(i, k, i == 1 && k == 2 ? 32700 : CENTRE, 0);
	}
	for (int i = 0; i < N; i++) {
		pids[i] = spawn(bodies[i], NULL);
		await_child(pids[i]);
	}
	need(0, 0, CENTRE + 13);
	park();
	for (int i = 0; i < N; i++)
		need_exit(pids[i], 0);
	need(0, 0, CENTRE + 3);
	need(0, 1, CENTRE - 7);
	need(0, 2, CENTRE);
	need(0, 3, CENTRE + 99);
	need(1, 0, CENTRE + 1);
	need(1, 1, CENTRE - 1);
	need(1, 2, 32767);
	need(1, 3, 0);
	for (int i = 0; i < 2; i++)
		NEED(!semctl(sets[i], 0, IPC_RMID));
	ok();
}
