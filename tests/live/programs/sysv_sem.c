/*
 * Semaphores and a message queue that only the tree uses: values, permissions and queued messages
 * (of several types, one empty) are those of the dump, whatever became of the objects since.
 * PROVES: F087
 */
#include "check.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

enum { SEMS = 3 };

struct note {
	long type;
	char text[100];
};

static int sem, queue;

static void add(int which, int n)
{
	struct sembuf op = {which, n, IPC_NOWAIT};

	NEED(!semop(sem, &op, 1));
}

static void send(long type, const char *text)
{
	struct note n = {.type = type};

	strcpy(n.text, text);
	NEED(!msgsnd(queue, &n, strlen(text), IPC_NOWAIT));
}

static void need_message(long which, long type, const char *text)
{
	struct note n;

	SAME(msgrcv(queue, &n, sizeof(n.text), which, IPC_NOWAIT), strlen(text));
	SAME(n.type, type);
	NEED(!memcmp(n.text, text, strlen(text)));
}

static void child(void *unused)
{
	(void)unused;
	add(1, 3);
	send(7, "of the child");
	child_park();
	add(1, -1);
}

int main(int argc, char **argv)
{
	struct msqid_ds ds;
	int key = 0x5ea0000 + getpid();

	setup(argc, argv);
	sem = semget(key, SEMS, IPC_CREAT | IPC_EXCL | 0640);
	queue = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
	NEED(sem >= 0 && queue >= 0);
	NEED(!msgctl(queue, IPC_STAT, &ds));
	ds.msg_qbytes = 5000;
	NEED(!msgctl(queue, IPC_SET, &ds));
	add(0, 1);
	add(2, 30000);
	send(1, "first");
	send(2, "");
	pid_t pid = spawn(child, NULL);

	await_child(pid);
	park();
	SAME(semget(key, SEMS, 0), sem);
	SAME(msgget(key, 0), queue);
	need_exit(pid, 0);
	SAME(semctl(sem, 0, GETVAL), 1);
	SAME(semctl(sem, 1, GETVAL), 2);
	SAME(semctl(sem, 2, GETVAL), 30000);
	NEED(!msgctl(queue, IPC_STAT, &ds));
	SAME(ds.msg_qnum, 3);
	SAME(ds.msg_qbytes, 5000);
	SAME(ds.msg_perm.mode, 0600);
	need_message(7, 7, "of the child");
	need_message(0, 1, "first");
	need_message(0, 2, "");
	add(0, -1);
	send(3, "goes on");
	NEED(!semctl(sem, 0, IPC_RMID) && !msgctl(queue, IPC_RMID, NULL));
	ok();
}
