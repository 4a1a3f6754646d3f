/*
 * The execution domain of a process, and of a thread that has another.
 * PROVES: F017
 */
#include "check.h"
#include <pthread.h>
#include <sys/personality.h>

static volatile int up;

static void *thread(void *arg)
{
	NEED(personality((unsigned long)arg) != -1);
	up = 1;
	await("release");
	SAME(personality(0xffffffff), (unsigned long)arg);
	return NULL;
}

static void child(void *arg)
{
	unsigned long want = *(unsigned long *)arg;

	NEED(personality(want) != -1);
	child_park();
	SAME(personality(0xffffffff), want);
}

int main(int argc, char **argv)
{
	/* Some of them the reference's images cannot hold. */
	static const unsigned long kind[] = {0, ADDR_NO_RANDOMIZE, UNAME26 | SHORT_INODE,
		ADDR_COMPAT_LAYOUT | STICKY_TIMEOUTS, MMAP_PAGE_ZERO | WHOLE_SECONDS,
		ADDR_COMPAT_LAYOUT | ADDR_LIMIT_32BIT, PER_BSD, PER_LINUX32 | ADDR_LIMIT_3GB};
	enum { KINDS = sizeof(kind) / sizeof(kind[0]) };
	pid_t pid[KINDS];
	pthread_t t;

	setup(argc, argv);
	NEED(!pthread_create(&t, NULL, thread, (void *)(UNAME26 | ADDR_LIMIT_32BIT)));
	while (!up)
		nap_ms(1);
	for (int i = 0; i < KINDS; i++) {
		unsigned long want = kind[i];

		pid[i] = spawn(child, &want);
		await_child(pid[i]);
	}
	park();
	for (int i = 0; i < KINDS; i++)
		need_exit(pid[i], 0);
	SAME(personality(0xffffffff), 0);
	NEED(!pthread_join(t, NULL));
	ok();
}
