/*
 * Settings of prctl(2) that live in our own image: timer slack, what machine checks do, faulting
 * reads of the time stamp counter and the I/O flusher mark of each thread; MDWE (no memory both
 * writable and executable) and KSM for everything of each process.
 *
 * Threads inherit all of them, stubs those of the controller; so what the image says is compared
 * with the controller's own.  A realtime thread has no timer slack.  Strict seccomp forbids the
 * time stamp counter by itself.  PR_GET_IO_FLUSHER needs privilege, so of the main thread it is
 * read from the flags in /proc/PID/stat.  KSM is switched in mem/map.c, before advice.
 *
 * What must hold: planned after scheduling and after all memory is mapped and protected.
 */
#include <sched.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/extras.h"

extern const struct aspect prctl_settings_aspect;

#ifndef PR_SET_IO_FLUSHER /* 5.6 */
#define PR_SET_IO_FLUSHER 57
#define PR_GET_IO_FLUSHER 58
#endif

enum {
	TIMER_SLACK_NS = 50000,	    /* what init starts with */
	PF_IO_FLUSHER = 0x00180000, /* PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE */
};

struct settings {
	int slack, mce, tsc, io_flusher, mdwe, merge; /* steps; -1 = not asked */
	int tsc_mode;
};

static int settings_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	struct settings *x = *state = arena_new(&s->arena, struct settings);
	x->slack = extras_ask(p, "timer slack", PR_GET_TIMERSLACK);
	x->mce = extras_ask(p, "machine check policy", PR_MCE_KILL_GET);
	x->tsc = program_may_fail(p, program_step(p, "look for", "TSC mode", SYS_prctl,
					    imm(PR_GET_TSC), out(p, &x->tsc_mode, sizeof(int))));
	x->io_flusher = x->mdwe = x->merge = -1;
	if (t != leader(t->task)) {
		x->io_flusher = extras_ask(p, "I/O flusher", PR_GET_IO_FLUSHER);
		return 0;
	}
	x->mdwe = extras_ask(p, "MDWE", PR_GET_MDWE);
	x->merge = extras_ask(p, "KSM for the process", PR_GET_MEMORY_MERGE);
	return 0;
}

static bool is_realtime(const struct thread *t)
{
	uint32_t policy = t->core->thread_core->sched_policy & 0xff;
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool is_io_flusher(const struct thread *t, const struct program *p, const struct settings *x)
{
	if (x->io_flusher >= 0)
		return program_result(p, x->io_flusher) > 0;
	return (t->task->stat.flags & PF_IO_FLUSHER) == PF_IO_FLUSHER;
}

static void store_of_thread(
	struct session *s, struct thread *t, const struct program *p, const struct settings *x)
{
	int64_t slack = program_result(p, x->slack), mce = program_result(p, x->mce);
	if (slack > 0 && slack != TIMER_SLACK_NS && !is_realtime(t)) {
		extras_make(s, t)->has_timer_slack_ns = true;
		t->extras->timer_slack_ns = (uint64_t)slack;
	}
	if (mce >= 0 && mce != PR_MCE_KILL_DEFAULT) {
		extras_make(s, t)->has_mce_policy = true;
		t->extras->mce_policy = (uint32_t)mce;
	}
	if (program_result(p, x->tsc) >= 0 && x->tsc_mode == PR_TSC_SIGSEGV &&
		t->status.seccomp != 1) {
		extras_make(s, t)->has_tsc_faults = true;
		t->extras->tsc_faults = true;
	}
	if (is_io_flusher(t, p, x)) {
		extras_make(s, t)->has_io_flusher = true;
		t->extras->io_flusher = true;
	}
}

static int settings_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	const struct settings *x = state;
	store_of_thread(s, t, p, x);
	if (t != leader(t->task))
		return 0;
	if (program_result(p, x->mdwe) > 0) {
		extras_make(s, t)->has_mdwe = true;
		t->extras->mdwe = (uint32_t)program_result(p, x->mdwe);
	}
	if (program_result(p, x->merge) > 0) {
		extras_make(s, t)->has_memory_merge = true;
		t->extras->memory_merge = true;
	}
	return 0;
}

static int settings_check(struct session *s, struct thread *t)
{
	if (extra_or(t, mdwe, 0) && prctl(PR_GET_MDWE, 0, 0, 0, 0) < 0)
		return fail_remedy(s, EOPNOTSUPP, "Linux 6.3 or later",
			"pid %d: it forbade itself memory both writable and executable (MDWE), "
			"which this kernel does not know",
			t->vtid);
	return 0;
}

static int own_tsc(void)
{
	int mode = PR_TSC_ENABLE;
	prctl(PR_GET_TSC, &mode);
	return mode;
}

static int settings_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	uint64_t slack = extra_or(t, timer_slack_ns, TIMER_SLACK_NS);
	if (!is_realtime(t) && slack != (uint64_t)syscall(SYS_prctl, PR_GET_TIMERSLACK))
		program_try(p, "timer slack", SYS_prctl, imm(PR_SET_TIMERSLACK), imm(slack));
	uint64_t mce = extra_or(t, mce_policy, PR_MCE_KILL_DEFAULT);
	if ((int)mce != prctl(PR_MCE_KILL_GET, 0, 0, 0, 0))
		program_try(p, "machine check policy", SYS_prctl, imm(PR_MCE_KILL),
			imm(PR_MCE_KILL_SET), imm(mce), imm(0), imm(0));
	bool flusher = extra_or(t, io_flusher, false);
	if (flusher != (prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) > 0))
		program_try(p, "I/O flusher mark", SYS_prctl, imm(PR_SET_IO_FLUSHER), imm(flusher),
			imm(0), imm(0), imm(0));
	int tsc = extra_or(t, tsc_faults, false) ? PR_TSC_SIGSEGV : PR_TSC_ENABLE;
	if (tsc != own_tsc())
		program_step(p, "set TSC mode", NULL, SYS_prctl, imm(PR_SET_TSC), imm((uint64_t)tsc));
	uint64_t mdwe = extra_or(t, mdwe, 0);
	if (mdwe && (int)mdwe != prctl(PR_GET_MDWE, 0, 0, 0, 0))
		program_step(p, "set MDWE", NULL, SYS_prctl, imm(PR_SET_MDWE), imm(mdwe), imm(0),
			imm(0), imm(0));
	return 0;
}

const struct aspect prctl_settings_aspect = {
	.name = "settings of prctl",
	.collect = settings_collect,
	.store = settings_store,
	.check = settings_check,
	.plan = settings_plan,
};
