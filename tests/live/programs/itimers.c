/*
 * Interval timers go on: an armed long one loses no more than the time that passed, a periodic
 * one keeps ticking at its rate, the CPU time ones fire when CPU time is used, and one that waits
 * for its signal to be taken waits on.
 * Not in the variant `fidelity`: a signal may begin its handler before the stop that it is looked at in.
 * PROVES: F007 F009
 * VARIANTS: plain cycles leave_running child
 */
#include "check.h"
#include <sys/time.h>

static const int signal_of[] = {SIGALRM, SIGVTALRM, SIGPROF};
static volatile sig_atomic_t ticks;

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

static void long_timer(void *which)
{
	int kind = *(int *)which;
	struct itimerval set = {.it_value = {5000, 250000}, .it_interval = {77, 123456}}, now;

	NEED(!setitimer(kind, &set, NULL));
	child_park();
	NEED(!getitimer(kind, &now));
	SAME(now.it_interval.tv_sec, 77);
	/* CPU timers are kept in ticks: the interval may be rounded up by one. */
	NEED(now.it_interval.tv_usec >= 123456 && now.it_interval.tv_usec < 123456 + 10000);
	NEED(now.it_value.tv_sec > 4900 && now.it_value.tv_sec <= 5000);
	/* The tick that the kernel adds when a CPU timer is set must not add up over cycles. */
	if (kind != ITIMER_REAL)
		NEED(now.it_value.tv_sec < 5000 || now.it_value.tv_usec <= 250000 + 10000);
}

/* Only an interval, no value: the timer is off; CPU timers remember the interval even so. */
static void disarmed(void *which)
{
	struct itimerval set = {.it_interval = {9, 0}}, now;

	NEED(!setitimer(*(int *)which, &set, NULL));
	child_park();
	NEED(!getitimer(*(int *)which, &now));
	SAME(now.it_value.tv_sec | now.it_value.tv_usec, 0);
	SAME(now.it_interval.tv_sec, *(int *)which == ITIMER_REAL ? 0 : 9);
}

/* An expired real timer is started again only when somebody takes its signal. */
static void waiting(void *unused)
{
	struct itimerval set = {.it_value = {0, 20000}, .it_interval = {0, 20000}}, now;
	sigset_t alarm;
	int sig;

	(void)unused;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, NULL);
	NEED(!setitimer(ITIMER_REAL, &set, NULL));
	nap_ms(60);
	child_park();
	NEED(!getitimer(ITIMER_REAL, &now));
	SAME(now.it_value.tv_sec | now.it_value.tv_usec, 0);
	SAME(now.it_interval.tv_usec, 20000);
	for (int i = 0; i < 3; i++)
		NEED(!sigwait(&alarm, &sig) && sig == SIGALRM);
}

static void ticking(void *which)
{
	int kind = *(int *)which;
	struct itimerval set = {.it_value = {0, 20000}, .it_interval = {0, 20000}};
	struct timespec start, now;
	int before;

	signal(signal_of[kind], on_tick);
	NEED(!setitimer(kind, &set, NULL));
	child_park();
	before = ticks;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 60 && ticks < before + 10);
	if (ticks < before + 10)
		bad("timer %d ticked %d times in a minute", kind, (int)ticks - before);
	/* Ten ticks of wall clock time take five periods, even if the first was late. */
	if (kind == ITIMER_REAL)
		NEED((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 >=
			100);
}

int main(int argc, char **argv)
{
	void (*const body[])(void *) = {long_timer, disarmed, ticking};
	pid_t pid[10];

	setup(argc, argv);
	for (int i = 0; i < 9; i++) {
		int kind = i % 3;

		pid[i] = spawn(body[i / 3], &kind);
		await_child(pid[i]);
	}
	pid[9] = spawn(waiting, NULL);
	await_child(pid[9]);
	park();
	for (int i = 0; i < 10; i++)
		need_exit(pid[i], 0);
	ok();
}
