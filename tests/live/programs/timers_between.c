/*
 * One-shot timers, some of which go off while the tree is being read: each makes its signal once.
 * PROVES: F008
 */
#include "check.h"

enum { TIMERS = 3000, APART_US = 100 };

int main(int argc, char **argv)
{
	static unsigned char ticks[TIMERS];
	struct timespec now;
	sigset_t set;
	siginfo_t info;

	setup(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	NEED(!sigprocmask(SIG_BLOCK, &set, NULL));
	clock_gettime(CLOCK_MONOTONIC, &now);
	for (int i = 0; i < TIMERS; i++) {
		struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
		long ns = now.tv_nsec + 5000000L + i * APART_US * 1000L;
		struct itimerspec when = {
			.it_value = {now.tv_sec + ns / 1000000000, ns % 1000000000}};
		timer_t id;

		e.sigev_value.sival_int = i;
		if (timer_create(CLOCK_MONOTONIC, &e, &id) && errno == EAGAIN)
			skip("RLIMIT_SIGPENDING is too low");
		NEED(!timer_settime(id, TIMER_ABSTIME, &when, NULL));
	}
	park();
	for (int i = 0; i < TIMERS; i++) {
		struct timespec limit = {5, 0};

		if (sigtimedwait(&set, &info, &limit) != SIGRTMIN)
			bad("signal %d of %d does not come", i + 1, TIMERS);
		ticks[info.si_value.sival_int]++;
	}
	for (int i = 0; i < TIMERS; i++)
		SAME(ticks[i], 1);
	ok();
}
