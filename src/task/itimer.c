/*
 * Interval timers: setitimer(2), three per process.
 *
 * Read inside with getitimer(); armed again with the time that remained.  An expired one-shot
 * timer reads as all zero and needs nothing; a periodic one caught exactly at its expiry reads
 * as value 0 and starts a whole interval.
 */
#include "task/aspect.h"

#include <errno.h>
#include <sys/time.h>

static const struct {
	int which;
	const char *name;
} kinds[] = {
	{ITIMER_REAL, "real"},
	{ITIMER_VIRTUAL, "virtual"},
	{ITIMER_PROF, "prof"},
};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

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
		if (e && (e->iusec >= 1000000 || e->vusec >= 1000000))
			return fail(s, EINVAL, "pid %d: %s interval timer of the image is out of range",
				t->vtid, kinds[i].name);
	}
	return 0;
}

static int itimer_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	for (int i = 0; i < N_KINDS; i++) {
		const ItimerEntry *e = image_of(t, i);
		if (!e || !(e->isec | e->iusec | e->vsec | e->vusec))
			continue;
		bool at_expiry = !(e->vsec | e->vusec);
		struct itimerval v = {
			.it_interval = {(time_t)e->isec, (suseconds_t)e->iusec},
			.it_value = {(time_t)(at_expiry ? e->isec : e->vsec),
				(suseconds_t)(at_expiry ? e->iusec : e->vusec)},
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
