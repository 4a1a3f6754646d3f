/*
 * Shared memory segments: one attached by two tasks, twice by one of them, read-only, in two
 * protections; one that is removed already; one that the kernel locked; one of odd size.
 * PROVES: F087
 */
#include "check.h"

#include <sys/ipc.h>
#include <sys/shm.h>

enum { BIG = 3 << 20, ODD = 5000 };

static char *big, *again, *read_only, *removed, *odd;
static int big_id, removed_id, odd_id;

static int nattch(int id)
{
	struct shmid_ds ds;

	NEED(!shmctl(id, IPC_STAT, &ds));
	return (int)ds.shm_nattch;
}

static char *attach(int id, int flags)
{
	char *p = shmat(id, NULL, flags);

	NEED(p != (char *)-1);
	return p;
}

static void child(void *unused)
{
	(void)unused;
	shmdt(again);
	child_park();
	need_filled(big, PAGE, 1);
	need_filled(removed, PAGE, 2);
	fill(big + BIG - PAGE, PAGE, 7);
	fill(removed + PAGE, PAGE, 8);
	say("written", "");
	await("judged");
}

static void need_mode(int id, int key, int mode, size_t size)
{
	struct shmid_ds ds;

	NEED(!shmctl(id, IPC_STAT, &ds));
	SAME(ds.shm_perm.__key, key);
	SAME(ds.shm_perm.mode, mode);
	SAME(ds.shm_perm.uid, 11);
	SAME(ds.shm_perm.cuid, 0);
	SAME(ds.shm_segsz, size);
}

static int make(int key, size_t size, int mode)
{
	struct shmid_ds ds = {.shm_perm = {.uid = 11, .gid = 12, .mode = mode}};
	int id = shmget(key, size, IPC_CREAT | IPC_EXCL | mode);

	NEED(id >= 0 && !shmctl(id, IPC_SET, &ds));
	return id;
}

int main(int argc, char **argv)
{
	int key = 0x5ea0000 + getpid();

	setup(argc, argv);
	big_id = make(key, BIG, 0640);
	removed_id = make(IPC_PRIVATE, 2 * PAGE, 0600);
	odd_id = make(key + 0x100000, ODD, 0666);
	big = attach(big_id, 0);
	again = attach(big_id, 0);
	read_only = attach(big_id, SHM_RDONLY);
	removed = attach(removed_id, 0);
	odd = attach(odd_id, 0);
	NEED(!shmctl(removed_id, IPC_RMID, NULL) && !shmctl(odd_id, SHM_LOCK, NULL));
	fill(big, PAGE, 1);
	fill(removed, PAGE, 2);
	fill(odd, ODD - 8, 3);
	NEED(!mprotect(again + PAGE, PAGE, PROT_READ));
	pid_t pid = spawn(child, NULL);

	await_child(pid);
	int before[] = {nattch(big_id), nattch(removed_id), nattch(odd_id)};
	park();
	SAME(nattch(big_id), before[0]);
	SAME(nattch(removed_id), before[1]);
	SAME(nattch(odd_id), before[2]);
	need_mode(big_id, key, 0640, BIG);
	need_mode(removed_id, 0, 0600 | SHM_DEST, 2 * PAGE);
	need_mode(odd_id, key + 0x100000, 0666 | SHM_LOCKED, ODD);
	need_filled(odd, ODD - 8, 3);
	await("written");
	need_filled(again + BIG - PAGE, PAGE, 7);
	need_filled(read_only + BIG - PAGE, PAGE, 7);
	need_filled(removed + PAGE, PAGE, 8);
	for (int i = 0; i < 16; i++)
		SAME(big[2 * PAGE + i], 0);
	say("judged", "");
	need_exit(pid, 0);
	NEED(mprotect(read_only, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
	SAME(shmget(key, BIG, 0), big_id);
	NEED(!shmdt(removed) && shmctl(removed_id, IPC_STAT, &(struct shmid_ds){0}) == -1);
	NEED(!shmctl(big_id, IPC_RMID, NULL) && !shmctl(odd_id, IPC_RMID, NULL));
	ok();
}
