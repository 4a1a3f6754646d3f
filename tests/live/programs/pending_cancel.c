/*
 * Signals 32 and 33, by which the C library cancels threads and sets ids, and which its own calls
 * never block: pending for a thread that is being cancelled, and for one with values, they arrive
 * as they were sent.
 * PROVES: F004
 */
#include "check.h"
#include <pthread.h>
#include <sys/syscall.h>

enum { CANCEL = 32, SETXID = 33 };

static volatile bool cancelled, kept, over;

static uint64_t bit(int signo)
{
	return UINT64_C(1) << (signo - 1);
}

static void block_both(void)
{
	uint64_t set = bit(CANCEL) | bit(SETXID);

	NEED(!syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, sizeof(set)));
}

/* When it returns, pause() is cancelled: no word of the set but the first is the kernel's. */
static void let_cancel(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)signo;
	(void)info;
	uc->uc_sigmask.__val[0] &= ~bit(CANCEL);
}

static void *wait_for_it(void *unused)
{
	block_both();
	cancelled = true;
	for (;;)
		pause();
	return unused;
}

static void queue(int signo, int value)
{
	siginfo_t info = {.si_signo = signo, .si_code = SI_QUEUE};

	info.si_pid = getpid();
	info.si_value.sival_int = value;
	NEED(!syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signo, &info));
}

static void take(int signo, int value)
{
	uint64_t set = bit(signo);
	struct timespec none = {0};
	siginfo_t info;

	SAME(syscall(SYS_rt_sigtimedwait, &set, &info, &none, sizeof(set)), signo);
	SAME(info.si_code, SI_QUEUE);
	SAME(info.si_pid, getpid());
	SAME(info.si_value.sival_int, value);
}

static void *keep_some(void *unused)
{
	block_both();
	queue(CANCEL, 1);
	queue(CANCEL, 2);
	queue(SETXID, 3);
	kept = true;
	while (!over)
		nap_ms(1);
	take(CANCEL, 1);
	take(CANCEL, 2);
	take(SETXID, 3);
	return unused;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = let_cancel, .sa_flags = SA_SIGINFO | SA_RESTART};
	pthread_t waiter, keeper;
	void *value;

	setup(argc, argv);
	NEED(!sigaction(SIGUSR1, &action, NULL));
	NEED(!pthread_create(&waiter, NULL, wait_for_it, NULL));
	NEED(!pthread_create(&keeper, NULL, keep_some, NULL));
	while (!cancelled || !kept)
		nap_ms(1);
	nap_ms(20); /* into pause(), where it can be cancelled */
	NEED(!pthread_cancel(waiter));
	park();
	NEED(!pthread_kill(waiter, SIGUSR1));
	NEED(!pthread_join(waiter, &value));
	NEED(value == PTHREAD_CANCELED);
	over = true;
	NEED(!pthread_join(keeper, NULL));
	ok();
}
