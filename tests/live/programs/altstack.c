/*
 * Alternate signal stacks: one per thread, and a thread that is dumped inside a handler running on
 * its alternate stack, which returns to the right place afterwards; SS_AUTODISARM, SS_DISABLE.
 * PROVES: F061 F047
 */
#include "check.h"
#include <pthread.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif
enum { SIZE = 64 << 10 };

static volatile int up, in_handler, handled;
static __thread volatile uintptr_t seen;
static __thread char *mine;

static void on_usr1(int sig)
{
	char here;
	stack_t now;

	(void)sig;
	seen = (uintptr_t)&here;
	NEED(!sigaltstack(NULL, &now));
	SAME(now.ss_flags & SS_ONSTACK, SS_ONSTACK);
	handled++;
}

static void on_usr2(int sig)
{
	char keep[1000];
	stack_t now;

	(void)sig;
	fill(keep, sizeof(keep), 5);
	in_handler = 1;
	await("release");
	need_filled(keep, sizeof(keep), 5);
	NEED(keep > mine && keep < mine + SIZE);
	NEED(!sigaltstack(NULL, &now));
	NEED(now.ss_sp == mine && now.ss_size == SIZE && now.ss_flags == SS_ONSTACK);
}

static void need_altstack(int flags)
{
	stack_t now;

	NEED(!sigaltstack(NULL, &now));
	NEED(now.ss_sp == mine);
	SAME(now.ss_size, SIZE);
	SAME((unsigned int)now.ss_flags, (unsigned int)flags);
	if (flags)
		return;
	seen = 0;
	raise(SIGUSR1);
	if (seen <= (uintptr_t)mine || seen >= (uintptr_t)mine + SIZE)
		bad("handler ran at %#lx, not in %p+%#x", seen, (void *)mine, SIZE);
}

static void *thread(void *arg)
{
	int flags = arg ? (int)SS_AUTODISARM : 0;
	stack_t st;

	mine = malloc(SIZE);
	st = (stack_t){.ss_sp = mine, .ss_size = SIZE, .ss_flags = flags};
	NEED(!sigaltstack(&st, NULL));
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	need_altstack(flags);
	return arg;
}

static void *in_a_handler(void *unused)
{
	uint64_t keep = 0x1234567, local[64];

	fill(local, sizeof(local), 6);
	mine = malloc(SIZE);
	stack_t st = {.ss_sp = mine, .ss_size = SIZE};
	NEED(!sigaltstack(&st, NULL));
	raise(SIGUSR2);
	SAME(keep, 0x1234567);
	need_filled(local, sizeof(local), 6);
	need_altstack(0);
	return unused;
}

static void *without(void *unused)
{
	stack_t now;

	await("release");
	NEED(!sigaltstack(NULL, &now));
	SAME(now.ss_flags, SS_DISABLE);
	return unused;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = SA_ONSTACK};
	pthread_t t[5];

	setup(argc, argv);
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_handler = on_usr2;
	sigaction(SIGUSR2, &sa, NULL);
	NEED(!pthread_create(&t[0], NULL, thread, NULL));
	NEED(!pthread_create(&t[1], NULL, thread, NULL));
	NEED(!pthread_create(&t[2], NULL, thread, "auto"));
	NEED(!pthread_create(&t[3], NULL, in_a_handler, NULL));
	NEED(!pthread_create(&t[4], NULL, without, NULL));
	while (up < 3 || !in_handler)
		nap_ms(1);
	await_threads_asleep();
	park();
	for (int i = 0; i < 5; i++)
		NEED(!pthread_join(t[i], NULL));
	SAME(handled, 3);
	ok();
}
