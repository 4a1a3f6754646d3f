/*
 * Threads of one process with credentials of their own, set by raw system calls.
 * PROVES: F315
 */
#include "creds.h"
#include <pthread.h>

enum { THREADS = 5 };
static volatile int up;

static void build(long id)
{
	gid_t groups[] = {id, id + 10, id + 20};

	if (id == 0)
		return;
	if (id != 4)
		NEED(!prctl(PR_SET_KEEPCAPS, 1));
	NEED(!syscall(SYS_setgroups, 3, groups));
	NEED(!syscall(SYS_setresgid, 300 + id, 310 + id, 320 + id));
	NEED(!syscall(SYS_setresuid, 200 + id, 210 + id, id == 3 ? 0 : 220 + id));
	if (id == 1)
		set_caps(CAP(CHOWN), CAP(CHOWN) | CAP(KILL), CAP(KILL));
	if (id == 2)
		NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void *thread(void *arg)
{
	struct creds before, after;

	build((long)arg);
	get_creds(&before);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	get_creds(&after);
	same_creds(&before, &after);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t[THREADS];

	setup(argc, argv);
	for (long i = 0; i < THREADS; i++)
		NEED(!pthread_create(&t[i], NULL, thread, (void *)i));
	while (up < THREADS)
		nap_ms(1);
	park();
	for (int i = 0; i < THREADS; i++)
		NEED(!pthread_join(t[i], NULL));
	ok();
}
