/*
 * Calls with a time limit, over and over, so that any dump hits some of them: each ends at its
 * time or tells EINTR with the right remainder, never early, never with another error.
 * PROVES: F004 F022
 */
#include "check.h"
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/select.h>

#define LIMIT_MS 150
static volatile bool stop;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static bool by_nanosleep(void)
{
	struct timespec t = {0, LIMIT_MS * 1000000L}, rem = {-1, -1};

	while (syscall(SYS_nanosleep, &t, &rem) != 0) {
		SAME(errno, EINTR);
		NEED(rem.tv_sec == 0 && rem.tv_nsec >= 0 && rem.tv_nsec <= t.tv_nsec);
		t = rem;
	}
	return true;
}

static bool by_clock_nanosleep(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += LIMIT_MS * 1000000L;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	SAME(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0);
	return true;
}

static bool by_poll(void)
{
	int n = poll(NULL, 0, LIMIT_MS);

	NEED(n == 0 || (n == -1 && errno == EINTR));
	return n == 0;
}

static bool by_select(void)
{
	struct timeval t = {0, LIMIT_MS * 1000};

	SAME(select(0, NULL, NULL, NULL, &t), 0);
	return true;
}

static bool by_futex(void)
{
	static uint32_t word;
	struct timespec t = {0, LIMIT_MS * 1000000L};

	NEED(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, NULL, 0) == -1);
	NEED(errno == ETIMEDOUT || errno == EINTR);
	return errno == ETIMEDOUT;
}

static bool by_sigtimedwait(void)
{
	struct timespec t = {0, LIMIT_MS * 1000000L};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	NEED(sigtimedwait(&set, NULL, &t) == -1);
	NEED(errno == EAGAIN || errno == EINTR);
	return errno == EAGAIN;
}

static bool (*const call[])(void) = {
	by_nanosleep, by_clock_nanosleep, by_poll, by_select, by_futex, by_sigtimedwait};
enum { CALLS = sizeof(call) / sizeof(call[0]) };

static void *work(void *arg)
{
	long whole = 0;

	while (!stop || whole < 2) {
		int64_t start = now_ns();
		bool in_full = call[(long)arg]();
		int64_t took = now_ns() - start;

		if (in_full && took < LIMIT_MS * 1000000LL)
			bad("call %ld came back after %lld ns", (long)arg, (long long)took);
		whole += in_full;
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread[CALLS];
	sigset_t set;

	setup(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (long i = 0; i < CALLS; i++)
		NEED(!pthread_create(&thread[i], NULL, work, (void *)i));
	await_threads_asleep();
	park();
	stop = true;
	for (int i = 0; i < CALLS; i++)
		NEED(!pthread_join(thread[i], NULL));
	ok();
}
