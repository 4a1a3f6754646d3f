/*
 * Interval timers: setitimer(2), three per process.
 *
 * Read inside with getitimer(); armed again with the time that remained.  All zero is off and
 * needs nothing.  An interval without a value means (kernel/time/itimer.c):
 *	real	expired, and started again only when its SIGALRM is taken: the interval of a
 *		timer that is off is forgotten.  Armed to expire at once; the signal that it sends
 *		is the one that is pending already.
 *	others	off; the interval is remembered, and set again just so.
 *
 * The kernel adds a tick to whatever a CPU time timer is set to, so that it never comes early.
 * The remaining time has that tick in it, which is taken off lest every cycle add one.
 */
#include "task/aspect.h"

#include <errno.h>
#include <sys/time.h>
#include <time.h>

static const struct {
	int which;
	const char *name;
} kinds[] = {
	{ITIMER_REAL, "real"},
	{ITIMER_VIRTUAL, "virtual"},
	{ITIMER_PROF, "prof"},
};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]), SECOND_US = 1000000 };

/* More does not fit into the kernel's nanoseconds. */
#define SECONDS_MAX (UINT64_MAX / 2 / 1000000000)

static int itimer_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	struct itimerval *read = arena_array(&s->arena, struct itimerval, N_KINDS);
	for (int i = 0; i < N_KINDS; i++)
		program_step(p, "getitimer", kinds[i].name, SYS_getitimer, imm((uint64_t)kinds[i].which),
			out(p, &read[i], sizeof(read[i])));
	*state = read;
	return 0;
}

static ItimerEntry *to_image(struct session *s, const struct itimerval *v)
{
	ItimerEntry *e = arena_new(&s->arena, ItimerEntry);
	itimer_entry__init(e);
	e->isec = (uint64_t)v->it_interval.tv_sec;
	e->iusec = (uint64_t)v->it_interval.tv_usec;
	e->vsec = (uint64_t)v->it_value.tv_sec;
	e->vusec = (uint64_t)v->it_value.tv_usec;
	return e;
}

static int itimer_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)p;
	const struct itimerval *read = state;
	TaskTimersEntry *timers = t->core->tc->timers;
	timers->real = to_image(s, &read[0]);
	timers->virt = to_image(s, &read[1]);
	timers->prof = to_image(s, &read[2]);
	return 0;
}

static const ItimerEntry *image_of(const struct thread *t, int kind)
{
	const TaskTimersEntry *timers = t->core->tc->timers;
	if (!timers)
		return NULL;
	return kind == 0 ? timers->real : kind == 1 ? timers->virt : timers->prof;
}

static int itimer_check(struct session *s, struct thread *t)
{
	for (int i = 0; i < N_KINDS; i++) {
		const ItimerEntry *e = image_of(t, i);
		if (e && (e->iusec >= SECOND_US || e->vusec >= SECOND_US || e->isec > SECONDS_MAX ||
				 e->vsec > SECONDS_MAX))
			return fail(s, EINVAL, "pid %d: %s interval timer of the image is out of range",
				t->vtid, kinds[i].name);
	}
	return 0;
}

/* A tick of the kernel is what its coarse clocks advance by. */
static uint64_t tick_us(void)
{
	struct timespec tick;
	return clock_getres(CLOCK_MONOTONIC_COARSE, &tick) < 0 ? 0 : (uint64_t)tick.tv_nsec / 1000;
}

static struct timeval value_to_set(const ItimerEntry *e, int which)
{
	const uint64_t soon = 1;
	uint64_t us = e->vsec * SECOND_US + e->vusec;
	if (which != ITIMER_REAL && us) {
		uint64_t tick = tick_us();
		us = us > tick ? us - tick : soon;
	} else if (!us && which == ITIMER_REAL) {
		us = soon;
	}
	return (struct timeval){(time_t)(us / SECOND_US), (suseconds_t)(us % SECOND_US)};
}

static int itimer_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	for (int i = 0; i < N_KINDS; i++) {
		const ItimerEntry *e = image_of(t, i);
		if (!e || !(e->isec | e->iusec | e->vsec | e->vusec))
			continue;
		struct itimerval v = {
			.it_interval = {(time_t)e->isec, (suseconds_t)e->iusec},
			.it_value = value_to_set(e, kinds[i].which),
		};
		program_step(p, "arm interval timer", kinds[i].name, SYS_setitimer,
			imm((uint64_t)kinds[i].which), in_copy(p, &v, sizeof(v)), imm(0));
	}
	return 0;
}

const struct aspect itimer_aspect = {
	.name = "interval timers",
	.leader_only = true,
	.collect = itimer_collect,
	.store = itimer_store,
	.check = itimer_check,
	.plan = itimer_plan,
};
