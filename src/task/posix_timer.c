/*
 * POSIX timers: timer_create(2).
 *
 * /proc/PID/timers tells what was asked for (CONFIG_CHECKPOINT_RESTORE), timer_gettime() and
 * timer_getoverrun() inside tell the rest.  Timers are made with their old ids: since Linux 6.15
 * by PR_TIMER_CREATE_RESTORE_IDS, before by making and deleting timers until the id comes, since
 * a fresh process counts up from 0.  They are armed by a second aspect, last, with the time that
 * remained; one at its very expiry starts a whole interval.
 *
 * Which thread's CPU time a timer of CLOCK_THREAD_CPUTIME_ID counts is not told.  It is the main
 * thread's if some of that passes between two looks at the timer by that thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "kernel/proc_timers.h"
#include "kernel/procfs.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect posix_timer_aspect, posix_timer_arm_aspect;

enum {
	SECOND_NS = 1000000000,
	/* Without help of the kernel each skipped id costs two steps. */
	MAX_COUNTED_ID = 100000,
	SIGNAL_MAX = 64,
	SOME_THREADS_CLOCK = -2, /* what CLOCK_THREAD_CPUTIME_ID is for the kernel */
};

struct timers {
	proc_timer_vec listed;
	struct itimerspec *setting, *again;
	int *overrun_step;
};

static int compare_id(const void *a, const void *b)
{
	const struct proc_timer *x = a, *y = b;
	return (x->id > y->id) - (x->id < y->id);
}

static int posix_timer_read(struct session *s, struct thread *t, void **state)
{
	struct timers *tm = *state = arena_new(&s->arena, struct timers);
	if (t->record && !t->record->posix_timers)
		return 0;
	int r = proc_timers_read(s, t->task->pid, &tm->listed);
	if (r < 0)
		return fail(s, r, "pid %d: read its POSIX timers", t->vtid);
	if (tm->listed.n)
		qsort(tm->listed.v, tm->listed.n, sizeof(*tm->listed.v), compare_id);
	return 0;
}

static bool counts_a_thread(const struct task *t, const struct proc_timer *timer)
{
	return timer->clock == SOME_THREADS_CLOCK && t->threads.n > 1;
}

static int posix_timer_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	struct timers *tm = *state;
	tm->again = arena_array(&s->arena, struct itimerspec, tm->listed.n);
	tm->setting = arena_array(&s->arena, struct itimerspec, tm->listed.n);
	tm->overrun_step = arena_array(&s->arena, int, tm->listed.n);
	for (size_t i = 0; i < tm->listed.n; i++) {
		struct arg id = imm((uint64_t)tm->listed.v[i].id);
		program_step(p, "read POSIX timer", NULL, SYS_timer_gettime, id,
			out(p, &tm->setting[i], sizeof(tm->setting[i])));
		tm->overrun_step[i] =
			program_step(p, "read timer overrun", NULL, SYS_timer_getoverrun, id);
		if (counts_a_thread(t->task, &tm->listed.v[i]))
			program_step(p, "read POSIX timer", "again", SYS_timer_gettime, id,
				out(p, &tm->again[i], sizeof(tm->again[i])));
	}
	return 0;
}

static pid_t thread_of(const struct task *t, pid_t tid)
{
	for (size_t i = 0; i < t->threads.n; i++)
		if (t->threads.v[i]->tid == tid)
			return t->threads.v[i]->vtid;
	return 0;
}

static void store_one(struct session *s, struct thread *t, const struct proc_timer *from,
	const struct itimerspec *setting, int64_t overrun, PosixTimerEntry *e)
{
	posix_timer_entry__init(e);
	e->it_id = (uint32_t)from->id;
	e->clock_id = (uint32_t)from->clock;
	e->si_signo = (uint32_t)from->signo;
	e->it_sigev_notify = (uint32_t)from->notify;
	e->sival_ptr = from->sigev_value;
	e->overrun = (uint32_t)overrun;
	e->isec = (uint64_t)setting->it_interval.tv_sec;
	e->insec = (uint64_t)setting->it_interval.tv_nsec;
	e->vsec = (uint64_t)setting->it_value.tv_sec;
	e->vnsec = (uint64_t)setting->it_value.tv_nsec;
	if (!(from->notify & SIGEV_THREAD_ID))
		return;
	e->has_notify_thread_id = true;
	e->notify_thread_id = thread_of(t->task, from->notify_id);
	if (!e->notify_thread_id)
		block(s, t->task->vpid, NULL, "timer %d notifies a thread that is gone (%d)",
			from->id, from->notify_id);
}

static int posix_timer_store(
	struct session *s, struct thread *t, const struct program *p, void *state)
{
	const struct timers *tm = state;
	TaskTimersEntry *timers = t->core->tc->timers;
	PosixTimerEntry *entries = arena_array(&s->arena, PosixTimerEntry, tm->listed.n);
	timers->n_posix = tm->listed.n;
	timers->posix = arena_array(&s->arena, PosixTimerEntry *, tm->listed.n);
	for (size_t i = 0; i < tm->listed.n; i++) {
		timers->posix[i] = &entries[i];
		if (counts_a_thread(t->task, &tm->listed.v[i]) &&
			!memcmp(&tm->setting[i], &tm->again[i], sizeof(tm->setting[i])))
			block(s, t->task->vpid, "have the program delete it",
				"timer %d counts the CPU time of some thread, the kernel does not "
				"tell which",
				tm->listed.v[i].id);
		store_one(s, t, &tm->listed.v[i], &tm->setting[i],
			program_result(p, tm->overrun_step[i]), &entries[i]);
	}
	return 0;
}

static bool kernel_takes_ids(void)
{
	return prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_GET, 0, 0, 0) >= 0;
}

static bool has_thread(const struct task *t, pid_t vtid)
{
	for (size_t i = 0; i < t->threads.n; i++)
		if (t->threads.v[i]->vtid == vtid)
			return true;
	return false;
}

static int compare_entry(const void *a, const void *b)
{
	const PosixTimerEntry *x = *(PosixTimerEntry *const *)a, *y = *(PosixTimerEntry *const *)b;
	return (x->it_id > y->it_id) - (x->it_id < y->it_id);
}

static int check_one(struct session *s, struct thread *t, const PosixTimerEntry *e)
{
	if (e->insec >= SECOND_NS || e->vnsec >= SECOND_NS || e->it_id > INT32_MAX ||
		e->isec > INT64_MAX || e->vsec > INT64_MAX)
		return fail(s, EBADMSG, "pid %d: POSIX timer %u of the image is out of range",
			t->vtid, e->it_id);
	if (e->it_sigev_notify != SIGEV_NONE && (e->si_signo < 1 || e->si_signo > SIGNAL_MAX))
		return fail(s, EBADMSG, "pid %d: POSIX timer %u sends signal %u", t->vtid, e->it_id,
			e->si_signo);
	if ((e->it_sigev_notify & SIGEV_THREAD_ID) &&
		!(e->has_notify_thread_id && has_thread(t->task, e->notify_thread_id)))
		return fail(s, EBADMSG,
			"pid %d: POSIX timer %u notifies a thread that the image lacks", t->vtid,
			e->it_id);
	return 0;
}

static int posix_timer_check(struct session *s, struct thread *t)
{
	TaskTimersEntry *timers = t->core->tc->timers;
	if (!timers)
		return fail(s, EBADMSG, "pid %d: the image lacks its timers", t->vtid);
	if (!timers->n_posix)
		return 0;
	qsort(timers->posix, timers->n_posix, sizeof(*timers->posix), compare_entry);
	for (size_t i = 0; i < timers->n_posix; i++) {
		int r = check_one(s, t, timers->posix[i]);
		if (r < 0)
			return r;
		if (i && timers->posix[i]->it_id == timers->posix[i - 1]->it_id)
			return fail(s, EBADMSG, "pid %d: two POSIX timers with id %u", t->vtid,
				timers->posix[i]->it_id);
	}
	if (timers->posix[timers->n_posix - 1]->it_id > MAX_COUNTED_ID && !kernel_takes_ids())
		return fail_remedy(s, EOPNOTSUPP, "Linux 6.15 or later",
			"pid %d: POSIX timer id %u is too high to be counted up to", t->vtid,
			timers->posix[timers->n_posix - 1]->it_id);
	return 0;
}

static void plan_create(struct session *s, struct program *p, const PosixTimerEntry *e)
{
	struct sigevent event = {
		.sigev_value.sival_ptr = (void *)(uintptr_t)e->sival_ptr,
		.sigev_signo = (int)e->si_signo,
		.sigev_notify = (int)e->it_sigev_notify,
	};
	event._sigev_un._tid = e->has_notify_thread_id ? e->notify_thread_id : 0;
	int *id = arena_new(&s->arena, int);
	*id = (int)e->it_id;
	program_step(p, "create POSIX timer", arena_printf(&s->arena, "%u", e->it_id),
		SYS_timer_create, simm((int32_t)e->clock_id), in_copy(p, &event, sizeof(event)),
		inout(p, id, sizeof(*id)));
}

/* A timer that notifies nobody, made and deleted: the next one gets a higher id. */
static void plan_skip(struct session *s, struct program *p, uint32_t id)
{
	PosixTimerEntry filler = POSIX_TIMER_ENTRY__INIT;
	filler.it_id = id;
	filler.clock_id = CLOCK_MONOTONIC;
	filler.it_sigev_notify = SIGEV_NONE;
	plan_create(s, p, &filler);
	program_step(p, "skip timer id", NULL, SYS_timer_delete, imm(id));
}

static int posix_timer_plan(struct session *s, struct thread *t, struct program *p)
{
	const TaskTimersEntry *timers = t->core->tc->timers;
	bool takes_ids = kernel_takes_ids();
	uint32_t next = 0;
	if (!timers->n_posix)
		return 0;
	if (takes_ids)
		program_step(p, "choose timer ids", "on", SYS_prctl,
			imm(PR_TIMER_CREATE_RESTORE_IDS), imm(PR_TIMER_CREATE_RESTORE_IDS_ON),
			imm(0), imm(0), imm(0));
	for (size_t i = 0; i < timers->n_posix; i++) {
		for (; !takes_ids && next < timers->posix[i]->it_id; next++)
			plan_skip(s, p, next);
		plan_create(s, p, timers->posix[i]);
		next = timers->posix[i]->it_id + 1;
	}
	if (takes_ids)
		program_step(p, "choose timer ids", "off", SYS_prctl,
			imm(PR_TIMER_CREATE_RESTORE_IDS), imm(PR_TIMER_CREATE_RESTORE_IDS_OFF),
			imm(0), imm(0), imm(0));
	return 0;
}

static int posix_timer_arm(struct session *s, struct thread *t, struct program *p)
{
	const TaskTimersEntry *timers = t->core->tc->timers;
	for (size_t i = 0; i < timers->n_posix; i++) {
		const PosixTimerEntry *e = timers->posix[i];
		if (!(e->isec | e->insec | e->vsec | e->vnsec))
			continue;
		bool at_expiry = !(e->vsec | e->vnsec);
		struct itimerspec v = {
			.it_interval = {(time_t)e->isec, (long)e->insec},
			.it_value = {(time_t)(at_expiry ? e->isec : e->vsec),
				(long)(at_expiry ? e->insec : e->vnsec)},
		};
		program_step(p, "arm POSIX timer", arena_printf(&s->arena, "%u", e->it_id),
			SYS_timer_settime, imm(e->it_id), imm(0), in_copy(p, &v, sizeof(v)),
			imm(0));
	}
	return 0;
}

const struct aspect posix_timer_aspect = {
	.name = "POSIX timers",
	.leader_only = true,
	.read = posix_timer_read,
	.collect = posix_timer_collect,
	.store = posix_timer_store,
	.check = posix_timer_check,
	.plan = posix_timer_plan,
};

const struct aspect posix_timer_arm_aspect = {
	.name = "POSIX timers, arming",
	.leader_only = true,
	.plan = posix_timer_arm,
};
