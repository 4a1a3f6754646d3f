/*
 * Pending signals: the queue of the process and that of each thread, in order.
 *
 * PTRACE_PEEKSIGINFO reads them without taking them (Linux 3.10).  They are queued again by the
 * task itself, because only a sender equal to the receiver may use codes of the kernel
 * (si_code >= 0) or SI_TKILL; each thread therefore fills its own queue and the leader also that
 * of the process.  All signals are blocked meanwhile, so even ignored ones stay queued, as they
 * did when they came.
 *
 * They are read before the agent comes in, and again before they are written: signals may still
 * come from outside, from a terminal whose ^C was on its way, from files, from timers.  A timer
 * that had gone off when it was read is one of these.  One that still had time left then, and not
 * more than has passed since, may have made its signal after that: a restore will make it.
 *
 * What must hold: whatever may send signals to the stub (its helpers and zombies ending) is over,
 * the final actions are set (setting SIG_IGN discards), and the leader goes first, for it empties
 * the queue before filling it.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/signal_name.h"
#include "task/sigqueue.h"

extern const struct aspect sigqueue_aspect;

enum {
	SIGINFO_BYTES = 128,
	BATCH = 32,
	VERY_MANY = 512 * BATCH,
	N_SIGNALS = 64,
	/* Standard signals coalesce: a stub gets SIGCHLD once, and hardly anything else. */
	DRAIN_STEPS = 8,
	SECOND_NS = 1000000000,
};

struct queues {
	SignalQueueEntry *shared, *private;
};

struct raw_siginfo {
	union {
		int signo;
		uint8_t bytes[SIGINFO_BYTES];
	};
};

static void append(struct session *s, SignalQueueEntry *q, const struct raw_siginfo *info)
{
	if (q->n_signals % BATCH == 0) {
		SiginfoEntry **grown = arena_array(&s->arena, SiginfoEntry *, q->n_signals + BATCH);
		if (q->n_signals)
			memcpy(grown, q->signals, q->n_signals * sizeof(*grown));
		q->signals = grown;
	}
	SiginfoEntry *e = arena_new(&s->arena, SiginfoEntry);
	siginfo_entry__init(e);
	e->siginfo.len = sizeof(*info);
	e->siginfo.data = arena_memdup(&s->arena, info, sizeof(*info));
	q->signals[q->n_signals++] = e;
}

static void take(
	struct session *s, struct thread *t, SignalQueueEntry *q, const struct raw_siginfo *info)
{
	if (info->signo == SIGTRAP)
		block(s, t->task->vpid, NULL, "thread %d: SIGTRAP is pending", t->vtid);
	/* It stops as soon as it runs; who makes it again sees to that. */
	if (info->signo == SIGSTOP)
		t->task->stop_signo = SIGSTOP;
	else
		append(s, q, info);
}

static uint64_t bit_of(int signo)
{
	return UINT64_C(1) << (signo - 1);
}

static int signo_of(const SiginfoEntry *e)
{
	int signo;
	memcpy(&signo, e->siginfo.data, sizeof(signo));
	return signo;
}

/*
 * A signal that came at RLIMIT_SIGPENDING may be pending without an entry in the queue: a standard one by
 * tgkill(2) or sigqueue(3), any by kill(2).  Whoever takes it is told the siginfo of collect_signal()
 * (kernel/signal.c).  Only what is pending before and after the queue was read, and not in it, is
 * taken for that.
 */
static void take_without_entry(
	struct session *s, struct thread *t, SignalQueueEntry *q, uint64_t before, bool shared)
{
	struct proc_status now;
	uint64_t missing = before & ~bit_of(SIGKILL);
	for (size_t i = 0; i < q->n_signals; i++)
		missing &= ~bit_of(signo_of(q->signals[i]));
	if (!missing || proc_status_read_tid(s, t->task->pid, t->tid, &now) < 0)
		return;
	missing &= shared ? now.shd_pnd : now.sig_pnd;
	for (int signo = 1; signo <= N_SIGNALS; signo++)
		if (missing & bit_of(signo))
			take(s, t, q, &(struct raw_siginfo){.signo = signo});
}

/*
 * The kernel walks from the first for each one, however many are asked for at once (ptrace_peek_siginfo()), so
 * a larger batch would not save anything but calls.
 */
static int peek(struct session *s, struct thread *t, uint32_t flags, SignalQueueEntry **ret)
{
	bool shared = flags & PTRACE_PEEKSIGINFO_SHARED;
	SignalQueueEntry *q = *ret = arena_new(&s->arena, SignalQueueEntry);
	signal_queue_entry__init(q);
	for (uint64_t offset = 0;;) {
		struct raw_siginfo infos[BATCH];
		struct __ptrace_peeksiginfo_args args = {
			.off = offset, .flags = flags, .nr = BATCH};
		long n = ptrace(PTRACE_PEEKSIGINFO, t->tid, &args, infos);
		if (n < 0)
			return fail(s, errno, "pid %d thread %d: read pending signals",
				t->task->vpid, t->vtid);
		for (long i = 0; i < n; i++)
			take(s, t, q, &infos[i]);
		if (n < BATCH)
			break;
		offset += (uint64_t)n;
		if (offset == VERY_MANY)
			log_info(s, "pid %d: more than %d signals are pending: reading them takes the kernel "
				    "half as many steps as their number squared, while the tree is stopped",
				t->task->vpid, VERY_MANY);
	}
	take_without_entry(s, t, q, shared ? t->status.shd_pnd : t->status.sig_pnd, shared);
	return 0;
}

static int sigqueue_inspect(struct session *s, struct thread *t, void **state)
{
	struct queues *q = *state = arena_new(&s->arena, struct queues);
	int r = peek(s, t, 0, &q->private);
	if (r < 0 || !t->core->tc)
		return r;
	return peek(s, t, PTRACE_PEEKSIGINFO_SHARED, &q->shared);
}

static int sigqueue_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)s;
	(void)p;
	const struct queues *q = state;
	t->core->thread_core->signals_p = q->private;
	if (t->core->tc)
		t->core->tc->signals_s = q->shared;
	return 0;
}

/* --- once more --- */

static siginfo_t info_of(const SiginfoEntry *e)
{
	siginfo_t info;
	memcpy(&info, e->siginfo.data, sizeof(info));
	return info;
}

/* A tick of the same timer; each has one signal. */
static bool holds_tick(const SignalQueueEntry *q, const SiginfoEntry *e)
{
	siginfo_t want = info_of(e);
	for (size_t i = 0; i < q->n_signals; i++) {
		siginfo_t info = info_of(q->signals[i]);
		if (info.si_signo == want.si_signo && info.si_code == want.si_code &&
			(info.si_code != SI_TIMER || info.si_timerid == want.si_timerid))
			return true;
	}
	return false;
}

/*
 * The time its timer had left when that was read, of which 0 says that it had gone off.  The
 * kernel says one nanosecond of a timer that is about to.
 */
static uint64_t time_left_ns(const TaskTimersEntry *timers, const SiginfoEntry *e)
{
	siginfo_t info = info_of(e);
	const ItimerEntry *interval = info.si_signo == SIGALRM	   ? timers->real
				      : info.si_signo == SIGVTALRM ? timers->virt
				      : info.si_signo == SIGPROF   ? timers->prof
								   : NULL;
	if (info.si_code == SI_KERNEL && interval)
		return interval->vsec * SECOND_NS + interval->vusec * 1000;
	for (size_t i = 0; info.si_code == SI_TIMER && i < timers->n_posix; i++)
		if (timers->posix[i]->it_id == (uint32_t)info.si_timerid)
			return timers->posix[i]->vsec * SECOND_NS + timers->posix[i]->vnsec;
	return 0;
}

static SignalQueueEntry *without_early_ticks(const TaskTimersEntry *timers,
	const SignalQueueEntry *before, SignalQueueEntry *now, uint64_t stopped_at_us)
{
	/* not before they were read: a tick may have come while they were */
	uint64_t stopped_ns = (now_us() + 1 - stopped_at_us) * 1000;
	size_t kept = 0;
	for (size_t i = 0; i < now->n_signals; i++) {
		uint64_t left = time_left_ns(timers, now->signals[i]);
		if (holds_tick(before, now->signals[i]) || !left || left > stopped_ns)
			now->signals[kept++] = now->signals[i];
	}
	now->n_signals = kept;
	return now;
}

/* Any stop that came later would have removed it. */
static void note_continued(struct thread *t, const SignalQueueEntry *q)
{
	for (size_t i = 0; i < q->n_signals; i++)
		if (signo_of(q->signals[i]) == SIGCONT)
			__atomic_store_n(&t->task->continued, true, __ATOMIC_RELAXED);
}

static int read_again(struct session *s, struct thread *t, uint64_t stopped_at_us)
{
	ThreadCoreEntry *core = t->core->thread_core;
	TaskCoreEntry *tc = t->core->tc;
	const TaskTimersEntry *timers = leader(t->task)->core->tc->timers;
	SignalQueueEntry *now;
	int r = peek(s, t, 0, &now);
	if (r >= 0)
		note_continued(t, now);
	if (r >= 0)
		core->signals_p = without_early_ticks(timers, core->signals_p, now, stopped_at_us);
	if (r < 0 || !tc)
		return r;
	r = peek(s, t, PTRACE_PEEKSIGINFO_SHARED, &now);
	if (r >= 0)
		note_continued(t, now);
	if (r >= 0)
		tc->signals_s = without_early_ticks(timers, tc->signals_s, now, stopped_at_us);
	return r;
}

int sigqueue_read_again(
	struct session *s, const struct tree *tree, unsigned lane, uint64_t stopped_at_us)
{
	int r = 0;
	vec_for_each (&tree->tasks, it)
		for (size_t i = 0; task_lives(*it) && i < (*it)->threads.n && r >= 0; i++)
			if ((*it)->threads.v[i]->lane == lane)
				r = read_again(s, (*it)->threads.v[i], stopped_at_us);
	return r;
}

static int check_queue(struct session *s, struct thread *t, const SignalQueueEntry *q)
{
	for (size_t i = 0; q && i < q->n_signals; i++) {
		const SiginfoEntry *e = q->signals[i];
		if (e->siginfo.len != SIGINFO_BYTES)
			return fail(s, EBADMSG,
				"pid %d thread %d: a pending signal has %zu bytes instead of %d",
				t->task->vpid, t->vtid, e->siginfo.len, SIGINFO_BYTES);
		int signo = signo_of(e);
		if (signo < 1 || signo > N_SIGNALS || signo == SIGKILL || signo == SIGSTOP ||
			signo == SIGTRAP)
			return fail(s, EBADMSG, "pid %d thread %d: signal %d cannot be pending",
				t->task->vpid, t->vtid, signo);
	}
	return 0;
}

static int sigqueue_check(struct session *s, struct thread *t)
{
	int r = check_queue(s, t, t->core->thread_core->signals_p);
	if (r < 0 || !t->core->tc)
		return r;
	return check_queue(s, t, t->core->tc->signals_s);
}

/* Signals the stub got while it was made are no business of the task. */
static void plan_drain(struct program *p)
{
	uint64_t all = ~(1ull << (SIGTRAP - 1));
	struct timespec none = {0};
	struct arg set = in_copy(p, &all, sizeof(all)), timeout = in_copy(p, &none, sizeof(none));
	for (int i = 0; i < DRAIN_STEPS; i++)
		program_may_fail(p, program_step(p, "drop stray signal", NULL, SYS_rt_sigtimedwait,
					    set, imm(0), timeout, imm(sizeof(all))));
}

static int sigqueue_plan(struct session *s, struct thread *t, struct program *p)
{
	pid_t tgid = t->task->vpid;
	if (t->core->tc) {
		plan_drain(p);
		const SignalQueueEntry *q = t->core->tc->signals_s;
		for (size_t i = 0; q && i < q->n_signals; i++)
			program_step(p, "queue signal", signal_name(s, signo_of(q->signals[i])),
				SYS_rt_sigqueueinfo, imm((uint64_t)tgid),
				imm((uint64_t)signo_of(q->signals[i])),
				in(p, q->signals[i]->siginfo.data, SIGINFO_BYTES));
	}
	const SignalQueueEntry *q = t->core->thread_core->signals_p;
	for (size_t i = 0; q && i < q->n_signals; i++)
		program_step(p, "queue signal for thread", signal_name(s, signo_of(q->signals[i])),
			SYS_rt_tgsigqueueinfo, imm((uint64_t)tgid), imm((uint64_t)t->vtid),
			imm((uint64_t)signo_of(q->signals[i])),
			in(p, q->signals[i]->siginfo.data, SIGINFO_BYTES));
	return 0;
}

const struct aspect sigqueue_aspect = {
	.name = "pending signals",
	.inspect = sigqueue_inspect,
	.store = sigqueue_store,
	.check = sigqueue_check,
	.plan = sigqueue_plan,
};
