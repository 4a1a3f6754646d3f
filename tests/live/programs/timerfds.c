/*
 * timerfd: every clock, armed relative and absolute, with and without interval; not armed; expired
 * and read, expired and not read, periodic with many expirations not read; cancel-on-set.
 * Expirations happen once each: none is lost, none is made up.
 * PROVES: F202 F131
 */
#include "check.h"

#include <sys/timerfd.h>

enum { HOUR = 3600, CLOCKS = 5 };

static const int clocks[CLOCKS] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
	CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM};

static int relative[CLOCKS], absolute[CLOCKS], periodic[CLOCKS];
static struct timespec deadline[CLOCKS];

static int make(int clock, int flags, struct timespec value, struct timespec interval)
{
	int fd = timerfd_create(clock, TFD_NONBLOCK);
	struct itimerspec t = {.it_value = value, .it_interval = interval};

	NEED(fd >= 0 && !timerfd_settime(fd, flags, &t, NULL));
	return fd;
}

static struct timespec in_seconds(int clock, int seconds, long ns)
{
	struct timespec t;

	/* the alarm clocks cannot be read where there is no RTC */
	clock_gettime(clock == CLOCK_REALTIME_ALARM   ? CLOCK_REALTIME
		      : clock == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME
						      : clock,
		&t);
	t.tv_sec += seconds;
	t.tv_nsec += ns;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Expirations that a read gives, 0 if none. */
static uint64_t ticks(int fd)
{
	uint64_t n = 0;
	ssize_t r = read(fd, &n, sizeof(n));

	if (r < 0 && errno == EAGAIN)
		return 0;
	SAME(r, sizeof(n));
	return n;
}

static void need_left(int fd, int seconds, int interval)
{
	struct itimerspec t;

	NEED(!timerfd_gettime(fd, &t));
	SAME(t.it_interval.tv_sec, interval);
	if (t.it_value.tv_sec > seconds || t.it_value.tv_sec < seconds - 120)
		bad("%ld s left, not about %d", t.it_value.tv_sec, seconds);
}

static int settime_flags(int fd)
{
	char path[64], text[1024], *at;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	slurp(path, text, sizeof(text));
	NEED((at = strstr(text, "settime flags: ")));
	return (int)strtol(at + 15, NULL, 8);
}

static void make_all(void)
{
	const struct timespec zero = {0, 0}, hour = {HOUR, 0}, nine = {9, 9};

	for (int i = 0; i < CLOCKS; i++) {
		deadline[i] = in_seconds(clocks[i], HOUR, 0);
		relative[i] = make(clocks[i], 0, hour, zero);
		absolute[i] = make(clocks[i], TFD_TIMER_ABSTIME, deadline[i], zero);
		periodic[i] = make(clocks[i], 0, (struct timespec){2 * HOUR, 0}, nine);
	}
}

static void check_all(void)
{
	for (int i = 0; i < CLOCKS; i++) {
		SAME(ticks(relative[i]) + ticks(absolute[i]) + ticks(periodic[i]), 0);
		need_left(relative[i], HOUR, 0);
		need_left(absolute[i], HOUR, 0);
		need_left(periodic[i], 2 * HOUR, 9);
		SAME(settime_flags(absolute[i]), TFD_TIMER_ABSTIME);
		SAME(settime_flags(relative[i]), 0);
	}
	/* the wall clock's keeps its moment */
	struct itimerspec t;
	struct timespec now;
	NEED(!timerfd_gettime(absolute[0], &t));
	clock_gettime(CLOCK_REALTIME, &now);
	double off = (double)(now.tv_sec + t.it_value.tv_sec - deadline[0].tv_sec) +
		     (double)(now.tv_nsec + t.it_value.tv_nsec - deadline[0].tv_nsec) / 1e9;
	if (off < -1 || off > 1)
		bad("the deadline moved by %f s", off);
}

int main(int argc, char **argv)
{
	const struct timespec zero = {0, 0}, soon = {0, 1}, minute = {60, 0}, hour = {HOUR, 0};
	struct itimerspec t;

	setup(argc, argv);
	make_all();
	int idle = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	int disarmed = make(CLOCK_MONOTONIC, 0, zero, minute);
	int unread = make(CLOCK_MONOTONIC, 0, soon, zero);
	int unread_abs = make(CLOCK_REALTIME, TFD_TIMER_ABSTIME, in_seconds(CLOCK_REALTIME, -5, 0), zero);
	int was_read = make(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, in_seconds(CLOCK_MONOTONIC, 0, 1), zero);
	/* 3 of 60 s each are over, and nobody looked: read, it says 4 */
	int missed = make(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME,
		in_seconds(CLOCK_MONOTONIC, -200, 0), minute);
	int cancel = make(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
		in_seconds(CLOCK_REALTIME, HOUR, 0), zero);
	int beat = make(CLOCK_MONOTONIC, 0, (struct timespec){0, 20000000},
		(struct timespec){0, 20000000});
	NEED(dup2(unread, 300) == 300 && !fcntl(unread, F_SETSIG, SIGUSR1));
	nap_ms(3);
	SAME(ticks(was_read), 1);
	park();
	check_all();
	SAME(ticks(idle), 0);
	NEED(!timerfd_gettime(idle, &t) && !t.it_value.tv_sec && !t.it_value.tv_nsec);
	NEED(!timerfd_gettime(disarmed, &t) && !t.it_value.tv_sec && !t.it_value.tv_nsec);
	SAME(t.it_interval.tv_sec, 60);
	SAME(fcntl(idle, F_GETFD), FD_CLOEXEC);
	SAME(fcntl(idle, F_GETFL), O_RDWR | O_NONBLOCK);
	SAME(ticks(300), 1);
	SAME(ticks(unread), 0);
	SAME(fcntl(300, F_GETSIG), SIGUSR1);
	SAME(ticks(unread_abs), 1);
	SAME(ticks(unread_abs), 0);
	NEED(!timerfd_gettime(was_read, &t) && !t.it_value.tv_sec && !t.it_value.tv_nsec);
	SAME(ticks(was_read), 0);
	uint64_t n = ticks(missed);
	if (n < 4 || n > 6)
		bad("%llu expirations, not about 4", (unsigned long long)n);
	need_left(missed, 60, 60);
	SAME(ticks(missed), 0);
	SAME(ticks(cancel), 0);
	need_left(cancel, HOUR, 0);
	SAME(settime_flags(cancel), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
	/* what beats goes on beating */
	n = ticks(beat);
	while (!(n = ticks(beat)))
		nap_ms(1);
	/* and all can be set anew */
	t = (struct itimerspec){.it_value = soon};
	NEED(!timerfd_settime(was_read, 0, &t, NULL));
	while (!(n = ticks(was_read)))
		nap_ms(1);
	SAME(n, 1);
	t.it_value = hour;
	NEED(!timerfd_settime(unread, 0, &t, NULL));
	SAME(ticks(unread), 0);
	ok();
}
