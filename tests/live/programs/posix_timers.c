/*
 * POSIX timers: kernel ids with gaps, clocks, all ways to notify, remaining time and interval, one
 * disarmed, one with overruns behind a blocked signal; deleted ids stay free; a short one fires on
 * the thread it names, with its value.
 * PROVES: F008 F009 F050
 */
#include "check.h"
#include <pthread.h>

#define SIGEV_THREAD_ID_ 4

/* Real-time signals are counted from SIGRTMIN, which is no constant: 100 and up here. */
static const struct {
	clockid_t clock;
	int notify, sig_;
} kind[] = {
	{CLOCK_REALTIME, SIGEV_SIGNAL, SIGUSR1},
	{CLOCK_MONOTONIC, SIGEV_NONE, 0},
	{CLOCK_MONOTONIC, SIGEV_THREAD_ID_, 101},
	{CLOCK_BOOTTIME, SIGEV_SIGNAL, 102},
	{CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, 103},
	{CLOCK_THREAD_CPUTIME_ID, SIGEV_NONE, 0},
	{CLOCK_MONOTONIC, SIGEV_SIGNAL, 104},
	{CLOCK_TAI, SIGEV_SIGNAL, 105},
};
enum { KINDS = sizeof(kind) / sizeof(kind[0]) };

static int signal_of(int i)
{
	return kind[i].sig_ < 100 ? kind[i].sig_ : kind[i].sig_ - 100 + SIGRTMIN;
}

static pid_t other;
static int other_id;

static int create(clockid_t clock, int notify, int sig, pid_t tid, long value)
{
	struct sigevent ev = {.sigev_notify = notify, .sigev_signo = sig};
	int id = -1;

	ev.sigev_value.sival_ptr = (void *)value;
	ev._sigev_un._tid = tid;
	if (syscall(SYS_timer_create, clock, &ev, &id))
		bad("timer_create on clock %d", clock);
	return id;
}

static void set(int id, long sec, long nsec, long every_sec, long every_nsec)
{
	struct itimerspec t = {.it_value = {sec, nsec}, .it_interval = {every_sec, every_nsec}};

	NEED(!syscall(SYS_timer_settime, id, 0, &t, NULL));
}

static bool valid(int id)
{
	struct itimerspec t;

	return !syscall(SYS_timer_gettime, id, &t);
}

static void *thread(void *unused)
{
	sigset_t wait;
	siginfo_t info;

	other_id = create(CLOCK_MONOTONIC, SIGEV_THREAD_ID_, SIGRTMIN + 7,
		other = syscall(SYS_gettid), 0x123456789abcL);
	sigemptyset(&wait);
	sigaddset(&wait, SIGRTMIN + 7);
	/* Any stop of the thread makes this call say EINTR. */
	long sig = -1;
	while (sig == -1 && (sig = syscall(SYS_rt_sigtimedwait, &wait, &info, NULL, 8)) == -1)
		SAME(errno, EINTR);
	SAME(sig, SIGRTMIN + 7);
	SAME(info.si_code, SI_TIMER);
	SAME(info.si_timerid, other_id);
	NEED(info.si_value.sival_ptr == (void *)0x123456789abcL);
	return unused;
}

int main(int argc, char **argv)
{
	int id[KINDS], gap[3], fast, overrun = 0;
	struct itimerspec now;
	siginfo_t info;
	sigset_t all;
	pthread_t t;

	setup(argc, argv);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (int i = 0; i < KINDS; i++) {
		if (i % 3 == 0)
			gap[i / 3] = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
		id[i] = create(kind[i].clock, kind[i].notify, signal_of(i), getpid(), 1000 + i);
		if (i != 6)
			set(id[i], 1000 + i, 500, i % 2 ? 0 : 10 + i, i % 2 ? 0 : 999);
	}
	for (int i = 0; i < 3; i++)
		NEED(!syscall(SYS_timer_delete, gap[i]));
	fast = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 8, 0, 5);
	set(fast, 0, 1000000, 0, 1000000);
	NEED(!pthread_create(&t, NULL, thread, NULL));
	nap_ms(60);
	await_threads_asleep();
	NEED(!syscall(SYS_timer_gettime, fast, &now));
	park();
	for (int i = 0; i < KINDS; i++) {
		NEED(!syscall(SYS_timer_gettime, id[i], &now));
		SAME(now.it_interval.tv_sec, i % 2 || i == 6 ? 0 : 10 + i);
		SAME(now.it_interval.tv_nsec, i % 2 || i == 6 ? 0 : 999);
		if (i == 6)
			SAME(now.it_value.tv_sec | now.it_value.tv_nsec, 0);
		else
			NEED(now.it_value.tv_sec > 900 && now.it_value.tv_sec <= 1000 + i);
	}
	for (int i = 0; i < 3; i++)
		NEED(!valid(gap[i]));
	/* Expirations that nobody fetches are counted. Signals from before each dump may come first;
	   the kernel has no way to give their counts back. */
	nap_ms(40);
	sigemptyset(&all);
	sigaddset(&all, SIGRTMIN + 8);
	for (int i = 0; i < 10 && overrun < 30; i++) {
		SAME(syscall(SYS_rt_sigtimedwait, &all, &info, NULL, 8), SIGRTMIN + 8);
		SAME(info.si_code, SI_TIMER);
		SAME(info.si_timerid, fast);
		SAME(info.si_value.sival_int, 5);
		overrun = syscall(SYS_timer_getoverrun, fast);
	}
	NEED(overrun >= 30);
	/* Each notifies as it was told to. */
	set(other_id, 0, 1000000, 0, 0);
	NEED(!pthread_join(t, NULL));
	for (int i = 0; i < KINDS; i++) {
		if (kind[i].notify == SIGEV_NONE || kind[i].clock == CLOCK_PROCESS_CPUTIME_ID)
			continue;
		set(id[i], 0, 1000000, 0, 0);
		sigemptyset(&all);
		sigaddset(&all, signal_of(i));
		SAME(syscall(SYS_rt_sigtimedwait, &all, &info, NULL, 8), signal_of(i));
		SAME(info.si_value.sival_int, 1000 + i);
		SAME(info.si_timerid, id[i]);
	}
	/* A new timer gets an id of its own. */
	int fresh = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
	for (int i = 0; i < KINDS; i++)
		NEED(fresh != id[i] && fresh != fast && fresh != other_id);
	ok();
}
