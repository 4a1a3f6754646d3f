/*
 * Semaphores that cannot be dumped, or are not ours: "foreign": somebody else (the test) changes
 * them, too; "undo": with SEM_UNDO, as the test changes them; "apart": a thread that does not share
 * the adjustments of its process.
 * VARIANTS: scenario
 */
#include "check.h"

#include <sys/ipc.h>
#include <sys/sem.h>

static char stack[65536];

static int wait_here(void *unused)
{
	for (;;)
		syscall(SYS_pause, unused);
	return 0;
}

int main(int argc, char **argv)
{
	struct sembuf op = {0, 5, 0};
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

	setup(argc, argv);
	int sem = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);

	if (!strcmp(argv[2], "undo"))
		op.sem_flg = SEM_UNDO;
	NEED(sem >= 0 && !semop(sem, &op, 1));
	if (!strcmp(argv[2], "apart"))
		NEED(clone(wait_here, stack + sizeof(stack), flags, NULL) > 0);
	op.sem_flg = SEM_UNDO;
	if (!strcmp(argv[2], "apart"))
		NEED(!semop(sem, &op, 1));
	park();
	NEED(semctl(sem, 0, GETVAL) >= 5);
	NEED(!semctl(sem, 0, IPC_RMID));
	ok();
}
