/*
 * Timers that tick every half millisecond and are counted, timers set, changed, deleted and waited
 * for one by one, as fast as it goes.  Ticks are as many as the time has intervals, less the time
 * that the driver knows to lie between a dump and its restore; every single shot arrives, none
 * comes early.
 * PROVES: F007 F008
 * VARIANTS: scenario
 */
#include "race.h"
#include <sys/time.h>
#include <sys/timerfd.h>

enum { TICK_NS = 500000, SHOT_NS = 700000, LEEWAY = 40 };

static uint64_t start;

/*
 * After each wait: too many ticks would be invented, too few lost.  What a wait returns are all
 * ticks from before it began; the thread may be stopped between its end and any look at the clock.
 */
static void need_ticks(const char *what, uint64_t ticks, uint64_t begun, uint64_t stolen)
{
	if (ticks > clock_ns(CLOCK_MONOTONIC) / TICK_NS - start / TICK_NS + 1)
		bad("%s: %lu ticks in %lu us", what, ticks,
			(clock_ns(CLOCK_MONOTONIC) - start) / 1000);
	uint64_t ns = begun - start;

	ns = ns > stolen ? ns - stolen : 0;
	if (ticks + LEEWAY < ns / TICK_NS)
		bad("%s: only %lu ticks in %lu us, without %lu us between", what, ticks, ns / 1000,
			stolen / 1000);
}

static timer_t make_timer(clockid_t clock, int signo)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signo};
	timer_t t;

	NEED(!timer_create(clock, &e, &t));
	return t;
}

static void posix_ticks(int beat)
{
	const struct itimerspec every = {{0, TICK_NS}, {0, TICK_NS}};
	uint64_t ticks = 0;
	timer_t t = make_timer(CLOCK_MONOTONIC, SIGRTMIN + 3);
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	NEED(!sigprocmask(SIG_BLOCK, &set, NULL));
	start = clock_ns(CLOCK_MONOTONIC);
	NEED(!timer_settime(t, 0, &every, NULL));
	while (racing()) {
		uint64_t begun = clock_ns(CLOCK_MONOTONIC);

		SAME(sigwaitinfo(&set, &info), SIGRTMIN + 3);
		SAME(info.si_code, SI_TIMER);
		ticks += 1 + (uint64_t)info.si_overrun;
		need_ticks("POSIX timer", ticks, begun, race->stolen_ns);
		race_beat(beat);
	}
}

static void fd_ticks(int beat)
{
	const struct itimerspec every = {{0, TICK_NS}, {0, TICK_NS}};
	uint64_t ticks = 0;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	NEED(fd >= 0);
	start = clock_ns(CLOCK_MONOTONIC);
	NEED(!timerfd_settime(fd, 0, &every, NULL));
	while (racing()) {
		uint64_t n, begun = clock_ns(CLOCK_MONOTONIC);

		SAME(read(fd, &n, 8), 8);
		ticks += n;
		need_ticks("timerfd", ticks, begun, race->stolen_ns);
		race_beat(beat);
	}
	close(fd);
}

/* --- single shots --- */

static volatile int shots;

static void on_shot(int signo)
{
	(void)signo;
	shots++;
}

static void itimer_shots(int beat)
{
	const struct itimerval once = {{0, 0}, {0, SHOT_NS / 1000}};
	sigset_t set, none;

	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	NEED(!sigprocmask(SIG_BLOCK, &set, NULL));
	signal(SIGALRM, on_shot);
	for (int i = 1; racing(); i++) {
		start = clock_ns(CLOCK_MONOTONIC);

		NEED(!setitimer(ITIMER_REAL, &once, NULL));
		while (shots < i)
			sigsuspend(&none);
		SAME(shots, i);
		NEED(clock_ns(CLOCK_MONOTONIC) - start >= SHOT_NS);
		race_beat(beat);
	}
}

static void timer_shots(int beat)
{
	const struct itimerspec once = {{0, 0}, {0, SHOT_NS}}, never = {{0, 0}, {0, 0}};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 4);
	NEED(!sigprocmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; racing(); i++) {
		timer_t t = make_timer(i % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME, SIGRTMIN + 4);
		start = clock_ns(CLOCK_MONOTONIC);
		const struct timespec zero = {0};
		siginfo_t info;

		NEED(!timer_settime(t, 0, &once, NULL));
		if (i % 3 == 0) { /* called off: it comes now or never */
			NEED(!timer_settime(t, 0, &never, NULL));
			sigtimedwait(&set, &info, &zero);
		} else {
			SAME(sigwaitinfo(&set, &info), SIGRTMIN + 4);
			SAME(info.si_overrun, 0);
			if (i % 2)
				NEED(clock_ns(CLOCK_MONOTONIC) - start >= SHOT_NS);
		}
		NEED(!timer_delete(t));
		SAME(sigtimedwait(&set, &info, &zero), -1);
		race_beat(beat);
	}
}

/* --- an alarm is the only thing that ends a call --- */

static void on_alarm(int signo)
{
	(void)signo;
}

static void interrupted(int beat)
{
	const struct itimerval often = {{0, 3000}, {0, 3000}};
	struct sigaction action = {.sa_handler = on_alarm};
	int p[2];
	char c;

	NEED(!sigaction(SIGALRM, &action, NULL) && !pipe(p));
	NEED(!setitimer(ITIMER_REAL, &often, NULL));
	while (racing()) {
		SAME(read(p[0], &c, 1), -1);
		SAME(errno, EINTR);
		race_beat(beat);
	}
}

int main(int argc, char **argv)
{
	void (*const body[])(int) = {posix_ticks, fd_ticks, itimer_shots, timer_shots, interrupted};
	pid_t pid[5];

	race_setup(argc, argv);
	for (int i = 0; i < 5; i++) {
		int beat = race_join();

		pid[i] = fork();
		NEED(pid[i] >= 0);
		if (pid[i] == 0) {
			body[i](beat);
			_exit(0);
		}
	}
	race_ready();
	while (racing())
		nap_ms(2);
	for (int i = 0; i < 5; i++)
		need_exit(pid[i], 0);
	ok();
}
