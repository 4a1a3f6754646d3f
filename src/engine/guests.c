/*
 * Threads other than the leader in a visit: as many at once as the region has seats, since most
 * of the time of a short program goes into waking and stopping its thread.
 *
 * A seat (its word in the leader's channel, enum agent_seat):
 *	free -> unsure   take_seat(), before the thread is pointed at the agent
 *	unsure -> taken  take_seat(), after that
 *	taken -> unsure  leave_seat(), before its own registers are set back
 *	unsure -> free   leave_seat(), after that; or the thread itself in its exit
 * If the controller dies, the leader unmaps the region when all seats are free: a thread that is
 * inside clears its word as the last thing it does with the region.  Between the two steps of
 * the controller nobody can tell whether the thread is inside; then the leader waits for a while.
 */
#include "engine/visit.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/robust.h"
#include "engine/seize.h"

size_t visit_seats(const struct visit *v)
{
	return v->n_seats;
}

struct visit *visit_join(struct session *s, const struct visit *v, unsigned part, unsigned n_parts)
{
	struct visit *joined = arena_new(&s->arena, struct visit);
	*joined = *v;
	joined->s = s;
	joined->controller = (uint32_t)gettid();
	joined->first_seat = v->site.n_seats * part / n_parts;
	joined->n_seats = v->site.n_seats * (part + 1) / n_parts - joined->first_seat;
	return joined;
}

int visit_part(struct visit *v)
{
	int r = visit_clear_seats(v);
	visit_drop_seats(v);
	return r;
}

static size_t seat_offset(size_t k)
{
	return SEATS + k * SEAT_LEN;
}

/* k counts the seats of this visit; the region, all. */
static size_t number(const struct visit *v, size_t k)
{
	return v->first_seat + k;
}

static void mark(struct visit *v, size_t k, enum agent_seat state)
{
	__atomic_store_n(&v->channel.shared->seats[number(v, k)], state, __ATOMIC_SEQ_CST);
}

static void open_seats(struct visit *v)
{
	for (size_t k = 0; k < visit_seats(v); k++) {
		visit_open_channel(v, &v->seats[k].channel, seat_offset(number(v, k)) + FRAME_LEN,
			SEAT_CHANNEL_LEN);
		robust_hold(v->seats[k].channel.shared);
	}
	v->seats_open = true;
}

/*
 * A signal by which the thread can stop itself: ignored by default, and by this thread as long as
 * it may get one at any time.  Without one (0) it waits, and is interrupted.
 */
static uint32_t stop_signal(const struct thread *t)
{
	static const int candidates[] = {SIGURG, SIGWINCH};
	const struct proc_status *st = &t->status;
	uint64_t unfit = t->sigmask | st->sig_cgt | st->sig_pnd | st->shd_pnd;
	if (t->task->state != TASK_ALIVE || st->seccomp)
		return 0;
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
		if (!(unfit & 1ull << (candidates[i] - 1)))
			return (uint32_t)candidates[i];
	return 0;
}

static int load_seat(struct seat *seat)
{
	struct agent_channel *shared = seat->channel.shared;
	int n = channel_load(&seat->channel, seat->p);
	if (n < 0)
		return n;
	bool whole = seat->p->n_played + (size_t)n == seat->p->steps.n;
	shared->pid = seat->t->task->vpid;
	shared->tid = seat->t->vtid;
	shared->stop_signal = whole ? stop_signal(seat->t) : 0;
	return 0;
}

/* The thread's exit, its frame and the first load of its program. */
static int prepare_seat(struct visit *v, size_t k, struct user_regs_struct *way_back, uint8_t *exit)
{
	struct seat *seat = &v->seats[k];
	struct thread *t = seat->t;
	*way_back = t->regs.gp;
	arch_fix_restart(t->tid, way_back);
	/* With filters, which are in force again without a tracer, it makes no call in its exit. */
	bool may_call = !t->status.seccomp;
	arch_exit_build(exit, way_back, may_call ? &t->sigmask : NULL);
	struct user_regs_struct gp = *way_back;
	uint64_t word = v->channel.task_addr + offsetof(struct agent_channel, seats) +
		number(v, k) * sizeof(v->channel.shared->seats[0]);
	arch_regs_exit(&gp, v->site.addr + site_exit(number(v, k)), word);
	int r = visit_build_frame(v, seat_offset(number(v, k)), &t->regs, &gp,
		may_call ? visit_all_signals : t->sigmask, &seat->channel);
	return r < 0 ? r : load_seat(seat);
}

static int take_seat(struct visit *v, size_t k, const struct user_regs_struct *way_back)
{
	struct seat *seat = &v->seats[k];
	mark(v, k, AGENT_SEAT_UNSURE);
	int r = visit_aim(v, seat->t->tid, way_back, &seat->channel);
	mark(v, k, AGENT_SEAT_TAKEN);
	seat->taken = true;
	seat->stopped = false;
	return r < 0 ? r : visit_go(v, seat->t->tid);
}

/* Until the thread has stopped itself. */
static int await_stop(struct visit *v, struct seat *seat)
{
	const struct agent_channel *shared = seat->channel.shared;
	pid_t tid = seat->t->tid;
	for (;;) {
		int status, waited = seize_wait4(tid, &status);
		if (waited < 0)
			return fail(v->s, waited, "pid %d: wait for its stop", tid);
		uint32_t done = __atomic_load_n(&shared->done, __ATOMIC_SEQ_CST);
		seat->stopped = WIFSTOPPED(status) && status >> 16 == 0 &&
			(uint32_t)WSTOPSIG(status) == shared->stop_signal && done == shared->request;
		if (seat->stopped)
			return channel_collect(&seat->channel, seat->p);
		int r = visit_go_on(v, tid, status);
		if (r < 0)
			return r;
	}
}

static int leave_seat(struct visit *v, size_t k)
{
	struct seat *seat = &v->seats[k];
	int r = seat->stopped ? 0 : seize_await(v->s, seat->t->tid, &v->t->stop_signo);
	seat->taken = false;
	/* its window stays writable for the next thread on this seat */
	seat->channel.shared->unprotect = 0;
	mark(v, k, AGENT_SEAT_UNSURE);
	if (r >= 0)
		r = visit_give_back(v, seat->t);
	mark(v, k, AGENT_SEAT_FREE);
	return r;
}

int visit_clear_seats(struct visit *v)
{
	int r = 0;
	bool asked[AGENT_SEATS] = {0};
	for (size_t k = 0; k < visit_seats(v); k++) {
		if (!v->seats[k].taken)
			continue;
		int err = v->seats[k].stopped ? 0 : seize_ask(v->s, v->seats[k].t->tid);
		asked[k] = err >= 0;
		r = r < 0 ? r : err;
	}
	for (size_t k = 0; k < visit_seats(v); k++) {
		int err = asked[k] ? leave_seat(v, k) : 0;
		r = r < 0 ? r : err;
	}
	return r;
}

void visit_drop_seats(struct visit *v)
{
	for (size_t k = 0; v->seats_open && k < visit_seats(v); k++)
		robust_drop(v->seats[k].channel.shared);
	v->seats_open = false;
}

static int seat_all(struct visit *v, size_t n)
{
	struct user_regs_struct way_back[AGENT_SEATS];
	uint8_t exits[SITE_MAX];
	size_t first = site_exit(v->first_seat);
	int r = 0;
	for (size_t k = 0; k < n && r >= 0; k++)
		r = prepare_seat(v, k, &way_back[k], exits + site_exit(number(v, k)) - first);
	if (r >= 0)
		r = site_write(v->s, &v->site, first, exits, site_exit(number(v, n)) - first);
	for (size_t k = 0; k < n && r >= 0; k++)
		r = take_seat(v, k, &way_back[k]);
	return r;
}

int visit_send(struct visit *v, struct thread *const *threads, struct program *programs, size_t n)
{
	assert(n <= visit_seats(v));
	assert(v->running); /* the words of the seats are in its channel, which it makes writable */
	if (!v->seats_open)
		open_seats(v);
	for (size_t k = 0; k < n; k++) {
		v->seats[k].t = threads[k];
		v->seats[k].p = &programs[k];
	}
	int r = seat_all(v, n);
	if (r < 0)
		visit_clear_seats(v);
	return r;
}

int visit_fetch(struct visit *v)
{
	int r = 0;
	for (size_t k = 0; k < visit_seats(v) && r >= 0; k++) {
		struct seat *seat = &v->seats[k];
		if (!seat->taken)
			continue;
		r = seat->channel.shared->stop_signal
			? await_stop(v, seat)
			: visit_play_out(v, seat->t->tid, &seat->channel, seat->p);
	}
	int cleared = visit_clear_seats(v);
	return r < 0 ? r : cleared;
}
