/*
 * Semaphores that cannot be dumped, or are not ours: "undo": with SEM_UNDO; "threads": the same in a
 * process with threads; "foreign": somebody else (the test) changes them, too.
 * VARIANTS: scenario
 */
#include "check.h"

#include <pthread.h>
#include <sys/ipc.h>
#include <sys/sem.h>

static void *wait_here(void *unused)
{
	await("release");
	return unused;
}

int main(int argc, char **argv)
{
	struct sembuf op = {0, 5, 0};
	pthread_t thread;

	setup(argc, argv);
	int sem = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);

	if (!strcmp(argv[2], "undo"))
		op.sem_flg = SEM_UNDO;
	NEED(sem >= 0 && !semop(sem, &op, 1));
	if (!strcmp(argv[2], "threads"))
		NEED(!pthread_create(&thread, NULL, wait_here, NULL));
	park();
	SAME(semctl(sem, 0, GETVAL), 5);
	NEED(!semctl(sem, 0, IPC_RMID));
	ok();
}
