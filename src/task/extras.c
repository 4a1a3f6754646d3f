/*
 * Properties that the image format has no place for.
 *
 * They cannot survive a restore, so the least is to say so: what would make the restored program
 * fault or lose a protection it asked for in so many words blocks the dump; what only changes
 * speed or accounting is a warning.  CPU affinity is left alone in silence: tasks move between
 * machines, and cpusets decide there.
 */
#include <sched.h>

#include "kernel/proc_misc.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect extras_aspect;

#ifndef PTRACE_ARCH_PRCTL
#define PTRACE_ARCH_PRCTL 30
#endif
#ifndef PR_MCE_KILL_GET
#define PR_MCE_KILL_GET 34
#endif

enum {
	SHSTK_STATUS = 0x5005,	 /* arch_prctl: ARCH_SHSTK_STATUS */
	GET_UNTAG_MASK = 0x4001, /* arch_prctl: ARCH_GET_UNTAG_MASK */
	IOPRIO_PROCESS = 1,
	IOPRIO_CLASS_SHIFT = 13,
	TIMER_SLACK_NS = 50000,	    /* what init starts with */
	COREDUMP_FILTER = 0x33,	    /* MMF_DUMP_FILTER_DEFAULT, with ELF headers */
	PF_IO_FLUSHER = 0x00180000, /* PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE */
};

/* What a prctl(2) returns as its result, and what it returns normally. */
static const struct getter {
	const char *name;
	uint64_t option, arg;
	int64_t normal;
	bool every_thread;
} getters[] = {
	{"timer slack", PR_GET_TIMERSLACK, 0, TIMER_SLACK_NS, true},
	{"MDWE (no memory both writable and executable)", PR_GET_MDWE, 0, 0, false},
	{"KSM for the whole process", PR_GET_MEMORY_MERGE, 0, 0, false},
	{"machine check policy", PR_MCE_KILL_GET, 0, 2, false}, /* PR_MCE_KILL_DEFAULT */
};

enum { N_GETTERS = sizeof(getters) / sizeof(getters[0]) };

struct extras {
	int getter[N_GETTERS];
	int mempolicy_step, untag_step, tsc_step;
	int mempolicy, tsc;
	uint64_t untag_mask;
};

struct sud_config {
	uint64_t mode, selector, offset, len;
};

static int extras_inspect(struct session *s, struct thread *t, void **state)
{
	*state = arena_new(&s->arena, struct extras);
	uint64_t features = 0;
	if (ptrace(PTRACE_ARCH_PRCTL, t->tid, &features, SHSTK_STATUS) >= 0 && features)
		block(s, t->task->vpid, NULL, "thread %d: uses a shadow stack (CET)", t->vtid);
	struct sud_config sud = {0};
	if (ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, t->tid, sizeof(sud), &sud) >= 0 &&
		sud.mode)
		block(s, t->task->vpid, NULL, "thread %d: uses syscall user dispatch", t->vtid);
	long ioprio = syscall(SYS_ioprio_get, IOPRIO_PROCESS, t->tid);
	if (ioprio > 0 && ioprio >> IOPRIO_CLASS_SHIFT)
		log_warn(s, "pid %d thread %d: its I/O priority (class %ld) will be lost",
			t->task->vpid, t->vtid, ioprio >> IOPRIO_CLASS_SHIFT);
	if (!t->core->tc)
		return 0;
	uint32_t filter = COREDUMP_FILTER;
	if (proc_coredump_filter(s, t->task->pid, &filter) >= 0 && filter != COREDUMP_FILTER)
		log_warn(s, "pid %d: its coredump_filter (0x%x) will be lost", t->vtid, filter);
	if ((t->task->stat.flags & PF_IO_FLUSHER) == PF_IO_FLUSHER)
		log_warn(s, "pid %d: its PR_SET_IO_FLUSHER state will be lost", t->vtid);
	return 0;
}

static int ask(struct program *p, const char *what, uint32_t nr, struct arg a, struct arg b)
{
	return program_may_fail(
		p, program_step(p, "look for", what, nr, a, b, imm(0), imm(0), imm(0)));
}

static int extras_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)s;
	struct extras *x = *state;
	bool is_leader = t->core->tc;
	for (int i = 0; i < N_GETTERS; i++)
		if (is_leader || getters[i].every_thread)
			x->getter[i] = ask(p, getters[i].name, SYS_prctl, imm(getters[i].option),
				imm(getters[i].arg));
	x->mempolicy_step = ask(p, "NUMA policy", SYS_get_mempolicy,
		out(p, &x->mempolicy, sizeof(x->mempolicy)), imm(0));
	if (!is_leader)
		return 0;
	x->tsc_step =
		ask(p, "TSC mode", SYS_prctl, imm(PR_GET_TSC), out(p, &x->tsc, sizeof(x->tsc)));
	x->untag_step = ask(p, "pointer tags", SYS_arch_prctl, imm(GET_UNTAG_MASK),
		out(p, &x->untag_mask, sizeof(x->untag_mask)));
	return 0;
}

static bool is_realtime(const struct thread *t)
{
	int policy = (int)t->core->thread_core->sched_policy & 0xff;
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int extras_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	const struct extras *x = state;
	bool is_leader = t->core->tc;
	for (int i = 0; i < N_GETTERS; i++) {
		if (!is_leader && !getters[i].every_thread)
			continue;
		int64_t value = program_result(p, x->getter[i]);
		/* Realtime threads have no timer slack. */
		if (value < 0 || value == getters[i].normal ||
			(getters[i].option == PR_GET_TIMERSLACK && is_realtime(t)))
			continue;
		log_warn(s, "pid %d thread %d: its %s (%lld) will be lost", t->task->vpid, t->vtid,
			getters[i].name, (long long)value);
	}
	if (program_result(p, x->mempolicy_step) >= 0 && x->mempolicy)
		log_warn(s, "pid %d thread %d: its NUMA memory policy (%d) will be lost",
			t->task->vpid, t->vtid, x->mempolicy);
	if (!is_leader)
		return 0;
	if (program_result(p, x->tsc_step) >= 0 && x->tsc == PR_TSC_SIGSEGV &&
		t->status.seccomp != 1)
		log_warn(s,
			"pid %d: PR_SET_TSC (fault on reading the time stamp counter) will be lost",
			t->vtid);
	if (program_result(p, x->untag_step) >= 0 && x->untag_mask != UINT64_MAX)
		block(s, t->task->vpid, NULL, "uses tagged pointers (LAM)");
	return 0;
}

const struct aspect extras_aspect = {
	.name = "properties without a place in images",
	.inspect = extras_inspect,
	.collect = extras_collect,
	.store = extras_store,
};
