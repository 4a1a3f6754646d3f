/*
 * The agent in a live task: how it gets in, works on the leader, and gets out.
 *
 * In: a stub (arch/x86_64/stub.c: calls and the way back) is written into the site, and the leader
 * is pointed at it to make a shared mapping, the region.  That is opened through
 * /proc/PID/map_files, filled with the agent and entered.
 * Out: the stub again, for a munmap().
 *
 * What happens if the controller dies (its tracees then run on):
 *  - before the leader is pointed at the stub: nothing was changed;
 *  - while it is in the stub: what was mapped is unmapped, the signal mask set back, and the task
 *    is where it was;
 *  - while the agent works or waits: it finishes its step list, sees FUTEX_OWNER_DIED, waits until
 *    the other threads have left their seats (guests.c), and leaves through its signal frame into
 *    the stub, which unmaps the region.
 * Signals are blocked while the agent is in, and were never taken from the task's queues.  On the
 * way in the registers are set before the mask, on the way out after it: a task that is let go
 * in between still finds the agent's way to its own mask.
 */
#include "engine/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/agent_blob.h"
#include "engine/robust.h"
#include "engine/seize.h"
#include "engine/visit.h"
#include "kernel/syscalls.h"

enum {
	/* how often a silent agent's task is looked at: soon at first, then less */
	FIRST_SLICE_US = 50,
	LAST_SLICE_US = 20000,
};

const uint64_t visit_all_signals = UINT64_MAX;

static int set_sigmask(struct session *s, pid_t tid, uint64_t mask)
{
	if (ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) < 0)
		return fail(s, errno, "pid %d: set the signal mask", tid);
	return 0;
}

/* --- one call through the stub --- */

/* Lets the leader run to its next system call stop; other stops on the way are none of ours. */
static int run_to_syscall_stop(struct visit *v)
{
	pid_t tid = v->t->pid;
	for (;;) {
		int status;
		if (ptrace(PTRACE_SYSCALL, tid, NULL, NULL) < 0 || wait4(tid, &status, __WALL, NULL) < 0)
			return fail(v->s, errno, "pid %d: run a system call in it", tid);
		if (!WIFSTOPPED(status))
			return fail(v->s, ESRCH, "pid %d died while it was being dumped", tid);
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 0;
		if (WSTOPSIG(status) == SIGSEGV || WSTOPSIG(status) == SIGILL)
			return fail(v->s, EFAULT, "pid %d: signal %d in the injected call", tid,
				WSTOPSIG(status));
		if (WSTOPSIG(status) == SIGSTOP && status >> 16 == 0)
			v->t->stop_signo = SIGSTOP; /* sent again when the task is let go */
	}
}

/* gp points into the stub. Returns in the stop at the exit of its call. */
static int call_through_stub(struct visit *v, struct user_regs_struct *gp, int64_t *ret_result)
{
	pid_t tid = v->t->pid;
	int r = arch_set_gp(tid, gp);
	if (r < 0)
		return fail(v->s, r, "pid %d: set registers", tid);
	r = set_sigmask(v->s, tid, visit_all_signals);
	if (r >= 0)
		r = run_to_syscall_stop(v); /* entry */
	if (r >= 0)
		r = run_to_syscall_stop(v); /* exit */
	if (r < 0)
		return r;
	r = arch_get_gp(tid, gp);
	if (r < 0)
		return fail(v->s, r, "pid %d: read registers", tid);
	*ret_result = arch_result(gp);
	return 0;
}

/* --- getting in --- */

static int map_region(struct visit *v)
{
	struct user_regs_struct gp = v->way_back;
	arch_regs_stub_map(&gp, v->site.addr, REGION_LEN);
	int64_t addr;
	int r = call_through_stub(v, &gp, &addr);
	if (r < 0)
		return r;
	if (addr < 0 && addr > -4096)
		return fail(v->s, (int)addr, "pid %d: map the agent", v->t->pid);
	v->region = (uint64_t)addr;
	char path[80];
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", v->t->pid,
		(unsigned long long)v->region, (unsigned long long)v->region + REGION_LEN);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail(v->s, errno, "open the agent's window %s", path);
	void *shared = mmap(NULL, REGION_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		return fail(v->s, errno, "map the agent's window");
	v->shared = shared;
	memcpy(v->shared, agent_blob_start, agent_blob_len());
	return 0;
}

int visit_build_frame(struct visit *v, size_t offset, const struct arch_regs *regs,
	const struct user_regs_struct *gp, uint64_t sigmask, struct channel *ch)
{
	ssize_t len = arch_sigframe_build((uint8_t *)v->shared + offset, FRAME_LEN,
		v->region + offset, regs, gp, sigmask);
	if (len < 0)
		return fail(v->s, (int)len, "pid %d: build its signal frame", v->t->pid);
	ch->shared->leave = v->region + offset;
	return 0;
}

int visit_aim(struct visit *v, pid_t tid, const struct user_regs_struct *from,
	const struct channel *ch)
{
	struct user_regs_struct gp = *from;
	arch_regs_enter(&gp, v->region, ch->task_addr, channel_stack(ch));
	int r = arch_set_gp(tid, &gp);
	if (r < 0)
		return fail(v->s, r, "pid %d: set registers", tid);
	return set_sigmask(v->s, tid, visit_all_signals);
}

int visit_go(struct visit *v, pid_t tid)
{
	if (ptrace(PTRACE_CONT, tid, NULL, NULL) < 0)
		return fail(v->s, errno, "pid %d: start the agent", tid);
	v->running |= tid == v->t->pid;
	return 0;
}

static int write_stub(struct visit *v)
{
	uint8_t stub[SITE_MAX];
	arch_stub_build(stub, &v->way_back, leader(v->t)->sigmask);
	return site_write(v->s, &v->site, 0, stub, arch_stub_size());
}

static int build_way_out(struct visit *v)
{
	struct thread *lead = leader(v->t);
	struct user_regs_struct gp = v->way_back;
	/*
	 * Without a tracer its filters are back in force: nothing but rt_sigreturn may be called,
	 * and the mapping stays.
	 */
	if (lead->status.seccomp)
		return visit_build_frame(v, LEADER_FRAME, &lead->regs, &gp, lead->sigmask, &v->channel);
	arch_regs_stub_unmap(&gp, v->site.addr, v->region, REGION_LEN);
	v->channel.shared->unmap_len = v->region + LEADER_FRAME + arch_sigframe_unmap_len();
	return visit_build_frame(v, LEADER_FRAME, &lead->regs, &gp, visit_all_signals, &v->channel);
}

static int get_in(struct visit *v)
{
	int r = write_stub(v);
	if (r >= 0)
		r = map_region(v);
	if (r < 0)
		return r;
	visit_open_channel(v, &v->channel, LEADER_CHANNEL, LEADER_CHANNEL_LEN);
	r = build_way_out(v);
	if (r < 0)
		return r;
	robust_hold(v->channel.shared);
	r = visit_aim(v, v->t->pid, &v->way_back, &v->channel);
	return r < 0 ? r : visit_go(v, v->t->pid);
}

int visit_begin(struct session *s, struct task *t, uint64_t vdso, uint64_t vdso_len,
	struct visit **ret_visit)
{
	struct visit *v = arena_new(&s->arena, struct visit);
	v->s = s;
	v->t = t;
	v->way_back = leader(t)->regs.gp;
	v->controller = (uint32_t)gettid();
	arch_fix_restart(t->pid, &v->way_back);
	*ret_visit = v; /* visit_end() cleans up whatever was reached */
	int r = site_open(s, &v->site, t->pid, vdso, vdso_len);
	return r < 0 ? r : get_in(v);
}

/* --- working --- */

/* Clears FUTEX_WAITERS (bit 31) and wakes in one call: nobody may die between the two. */
static void ring(struct agent_channel *shared)
{
	const uint32_t op = (FUTEX_OP_ANDN | FUTEX_OP_OPARG_SHIFT) << 28 | FUTEX_OP_CMP_EQ << 24 |
		31u << 12;
	syscall(SYS_futex, &shared->hold, FUTEX_WAKE_OP, 1, NULL, &shared->hold, op);
}

/* Signals that cannot be blocked may stop the task; it must go on until the agent is done. */
static int look_after(struct visit *v, pid_t tid)
{
	int status;
	pid_t got = wait4(tid, &status, __WALL | WNOHANG, NULL);
	if (got == 0)
		return 0;
	if (tid == v->t->pid)
		v->running = false;
	if (got < 0 || !WIFSTOPPED(status))
		return fail(v->s, ESRCH, "pid %d died while it was being dumped", tid);
	int signo = WSTOPSIG(status);
	if (status >> 16 == 0 && signo != SIGSTOP)
		return fail(v->s, EFAULT, "pid %d: the agent got signal %d", tid, signo);
	if (status >> 16 == 0)
		v->t->stop_signo = SIGSTOP;
	if (ptrace(PTRACE_CONT, tid, NULL, NULL) < 0)
		return fail(v->s, errno, "pid %d: continue the agent", tid);
	v->running |= tid == v->t->pid;
	return 0;
}

static long longer(long slice_us)
{
	return slice_us < LAST_SLICE_US / 4 ? slice_us * 4 : LAST_SLICE_US;
}

static int wait_done(struct visit *v, pid_t tid, struct agent_channel *shared)
{
	/* A task in group-stop stops once more on its way into the agent. */
	bool look = v->t->state == TASK_STOPPED;
	for (long slice_us = FIRST_SLICE_US;; slice_us = longer(slice_us)) {
		const struct timespec slice = {.tv_nsec = slice_us * 1000};
		uint32_t done = __atomic_load_n(&shared->done, __ATOMIC_SEQ_CST);
		if (done == shared->request)
			return 0;
		int looked = look ? look_after(v, tid) : 0;
		if (looked < 0)
			return looked;
		long r = syscall(SYS_futex, &shared->done, FUTEX_WAIT, done, &slice, NULL, 0);
		look = r < 0 && errno == ETIMEDOUT;
	}
}

int visit_play_out(struct visit *v, pid_t tid, struct channel *ch, struct program *p)
{
	for (;;) {
		int r = wait_done(v, tid, ch->shared);
		if (r >= 0)
			r = channel_collect(ch, p);
		if (r < 0 || p->n_played == p->steps.n)
			return r;
		r = channel_load(ch, p);
		if (r < 0)
			return r;
		ring(ch->shared);
	}
}

int visit_play_meanwhile(struct visit *v, struct program *p, int (*meanwhile)(void *arg), void *arg)
{
	struct channel *ch = &v->channel;
	int r = channel_load(ch, p);
	if (r < 0)
		return r;
	ring(ch->shared);
	int done_here = meanwhile(arg);
	r = visit_play_out(v, v->t->pid, ch, p);
	return r < 0 ? r : done_here;
}

int64_t visit_await_step(const struct visit *v, int step, unsigned timeout_ms)
{
	const struct agent_channel *shared = v->channel.shared;
	uint64_t deadline_us = now_us() + timeout_ms * 1000ull;
	for (;;) {
		int64_t result = __atomic_load_n(&shared->steps[step].result, __ATOMIC_SEQ_CST);
		if (result != AGENT_RESULT_NONE)
			return result;
		if (now_us() > deadline_us)
			return -ETIMEDOUT;
	}
}

int visit_play(struct visit *v, struct program *p)
{
	if (p->n_played == p->steps.n)
		return 0;
	int r = channel_load(&v->channel, p);
	if (r < 0)
		return r;
	ring(v->channel.shared);
	return visit_play_out(v, v->t->pid, &v->channel, p);
}

int visit_give_back(struct visit *v, const struct thread *t)
{
	int r = set_sigmask(v->s, t->tid, t->sigmask);
	if (r < 0)
		return r;
	r = arch_set_gp(t->tid, &t->regs.gp);
	return r < 0 ? fail(v->s, r, "pid %d: give its registers back", t->tid) : 0;
}

uint64_t visit_start(const struct visit *v)
{
	return v->region;
}

uint64_t visit_end_addr(const struct visit *v)
{
	return v->region ? v->region + REGION_LEN : 0;
}

/* --- getting out --- */

void visit_abandon(struct visit *v)
{
	if (!v)
		return;
	site_close(&v->site);
	if (!v->shared)
		return;
	visit_drop_seats(v);
	robust_drop(v->channel.shared);
	munmap(v->shared, REGION_LEN);
	v->shared = NULL;
}

static int unmap_region(struct visit *v)
{
	struct user_regs_struct gp = v->way_back;
	arch_regs_stub_unmap(&gp, v->site.addr, v->region, REGION_LEN);
	int64_t result;
	int r = call_through_stub(v, &gp, &result);
	if (r >= 0 && result < 0)
		r = fail(v->s, (int)result, "pid %d: unmap the agent", v->t->pid);
	return r;
}

/* From a system call stop into an event stop, before any instruction runs. */
static int to_event_stop(struct visit *v)
{
	pid_t tid = v->t->pid;
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 || ptrace(PTRACE_CONT, tid, NULL, NULL) < 0)
		return fail(v->s, errno, "pid %d: stop it again", tid);
	int status;
	do {
		if (wait4(tid, &status, __WALL, NULL) < 0 || !WIFSTOPPED(status))
			return fail(v->s, ESRCH, "pid %d died while it was being dumped", tid);
	} while (status >> 16 != PTRACE_EVENT_STOP && ptrace(PTRACE_CONT, tid, NULL, NULL) == 0);
	return 0;
}

static int get_out(struct visit *v)
{
	int r = visit_clear_seats(v);
	int stopped = v->running ? seize_interrupt(v->s, v->t->pid) : 0;
	r = r < 0 ? r : stopped;
	if (r >= 0 && v->region)
		r = unmap_region(v);
	if (r >= 0)
		r = to_event_stop(v);
	if (r >= 0)
		r = visit_give_back(v, leader(v->t));
	return r < 0 ? r : site_clear(v->s, &v->site);
}

int visit_end(struct visit *v)
{
	if (!v)
		return 0;
	int r = v->site.written ? get_out(v) : 0;
	visit_abandon(v);
	return r;
}
