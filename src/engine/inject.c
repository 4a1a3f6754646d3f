/*
 * The agent in a live task: how it gets in, works, and gets out.
 *
 * In: a stub (arch/x86_64/stub.c: calls and the way back) is written into the zero padding behind
 * the vDSO, where no code lives, and the leader is pointed at it to make a shared mapping.  That
 * is opened through /proc/PID/map_files, filled with the agent and entered.
 * Out: the stub again, for a munmap().
 *
 * What happens if the controller dies (its tracees then run on):
 *  - before the leader is pointed at the stub: nothing was changed;
 *  - while it is in the stub: what was mapped is unmapped, the signal mask set back, and the task
 *    is where it was;
 *  - while the agent works or waits: it finishes its step list, sees FUTEX_OWNER_DIED and leaves
 *    through its signal frame into the stub.  Of a leader and another thread that leave at once,
 *    the last unmaps the region: a token in it tells them which that is.  Nothing of the region
 *    is used after the token was taken.
 * Signals are blocked while the agent is in, and were never taken from the task's queues.
 *
 * The region:  agent code | leader's frame | thread's frame | thread's channel | leader's channel
 */
#include "engine/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/agent_blob.h"
#include "engine/remote.h"
#include "engine/robust.h"
#include "engine/seize.h"
#include "kernel/proc_maps.h"
#include "kernel/syscalls.h"

enum {
	CODE_LEN = 4096,
	FRAME_LEN = ARCH_XSTATE_MAX + 4096,
	THREAD_CHANNEL_LEN = 16 * 1024,
	LEADER_CHANNEL_LEN = 512 * 1024,

	LEADER_FRAME = CODE_LEN,
	THREAD_FRAME = LEADER_FRAME + FRAME_LEN,
	THREAD_CHANNEL = THREAD_FRAME + FRAME_LEN,
	LEADER_CHANNEL = THREAD_CHANNEL + THREAD_CHANNEL_LEN,
	REGION_LEN = LEADER_CHANNEL + LEADER_CHANNEL_LEN,

	STUB_MAX = 256,
	SITE_LEN = 2 * STUB_MAX, /* the leader's stub, then another thread's */
	SITE_ALIGN = 64,
	WAIT_SLICE_MS = 20, /* how often a silent agent's task is looked at */
};

static const uint64_t all_signals = UINT64_MAX;

/* Where the stubs are, and what was there before. */
struct site {
	uint64_t addr;
	uint8_t saved[SITE_LEN];
	bool written;
};

struct visit {
	struct session *s;
	struct task *t;
	struct site site;
	uint64_t region; /* in the task */
	char *shared;    /* the same, here */
	struct channel channel, thread_channel;
	bool running; /* the leader is in the agent, not in a ptrace stop */
	struct user_regs_struct way_back; /* restart-fixed: for leaving without the controller */
};

static int set_sigmask(struct session *s, pid_t tid, uint64_t mask)
{
	if (ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) < 0)
		return fail(s, errno, "pid %d: set the signal mask", tid);
	return 0;
}

/* --- the site of the stub --- */

static bool all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* The padding at the end of the vDSO's last page; stubs left there by a killed dump count. */
static bool site_in_vdso(struct site *site, pid_t pid, uint64_t vdso, uint64_t vdso_len)
{
	if (vdso_len < 2 * SITE_LEN)
		return false;
	site->addr = (vdso + vdso_len - SITE_LEN) & ~(uint64_t)(SITE_ALIGN - 1);
	if (remote_read(pid, site->addr, site->saved, SITE_LEN) < 0)
		return false;
	if (all_zero(site->saved, SITE_LEN))
		return true;
	uint8_t ours[STUB_MAX];
	arch_stub_build(ours, &(struct user_regs_struct){0}, 0);
	if (memcmp(ours, site->saved, arch_stub_code_size()) != 0)
		return false;
	memset(site->saved, 0, SITE_LEN);
	return true;
}

/* Without a usable vDSO: the start of any executable mapping, put back afterwards. */
static int site_in_text(struct session *s, struct site *site, pid_t pid)
{
	vma_info_vec vmas = {0};
	int r = proc_maps_read(s, pid, &vmas);
	if (r < 0)
		return fail(s, r, "pid %d: read its mappings", pid);
	vec_for_each(&vmas, v) {
		if (!(v->prot & PROT_EXEC) || v->shared || v->end > ARCH_TASK_SIZE)
			continue;
		site->addr = v->start;
		if (remote_read(pid, site->addr, site->saved, SITE_LEN) >= 0)
			return 0;
	}
	return fail(s, ENOEXEC, "pid %d has no executable mapping to run a system call in", pid);
}

static int site_write(struct visit *v, size_t offset, const uint8_t *bytes, size_t len)
{
	int r = remote_write(v->t->pid, v->site.addr + offset, bytes, len);
	if (r < 0)
		return fail(v->s, r, "pid %d: write to its vDSO at 0x%llx", v->t->pid,
			(unsigned long long)v->site.addr);
	v->site.written = true;
	return 0;
}

static int write_stub(struct visit *v, size_t offset, const struct user_regs_struct *way_back,
	uint64_t sigmask)
{
	uint8_t stub[STUB_MAX];
	arch_stub_build(stub, way_back, sigmask);
	return site_write(v, offset, stub, arch_stub_size());
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
	r = set_sigmask(v->s, tid, all_signals);
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

static int build_frame(struct visit *v, size_t offset, const struct arch_regs *regs,
	const struct user_regs_struct *gp, uint64_t sigmask, struct channel *ch)
{
	ssize_t len = arch_sigframe_build((uint8_t *)v->shared + offset, FRAME_LEN,
		v->region + offset, regs, gp, sigmask);
	if (len < 0)
		return fail(v->s, (int)len, "pid %d: build its signal frame", v->t->pid);
	ch->shared->leave = v->region + offset;
	return 0;
}

static void open_channel(struct visit *v, struct channel *ch, size_t offset, size_t len)
{
	channel_init(ch, v->shared + offset, v->region + offset, len, AGENT_PARK_FUTEX);
	ch->shared->unprotect = len;
	ch->shared->hold = (uint32_t)gettid() | FUTEX_WAITERS;
}

static uint32_t *token(struct visit *v)
{
	return &v->channel.shared->token;
}

/* The way out without the controller: into a stub, by the token. */
static int build_exit(struct visit *v, size_t frame, size_t stub, const struct thread *t,
	const struct user_regs_struct *way_back, struct channel *ch)
{
	struct user_regs_struct gp = *way_back;
	/*
	 * Without a tracer its filters are back in force: nothing but rt_sigreturn may be called,
	 * and the mapping stays.
	 */
	if (t->status.seccomp)
		return build_frame(v, frame, &t->regs, &gp, t->sigmask, ch);
	arch_regs_stub_leave(&gp, v->site.addr + stub, v->channel.task_addr + offsetof(struct agent_channel, token), v->region, REGION_LEN);
	return build_frame(v, frame, &t->regs, &gp, all_signals, ch);
}

static int enter_agent(struct visit *v, pid_t tid, const struct user_regs_struct *from,
	const struct channel *ch)
{
	struct user_regs_struct gp = *from;
	arch_regs_enter(&gp, v->region, ch->task_addr, channel_stack(ch));
	int r = arch_set_gp(tid, &gp);
	if (r < 0)
		return fail(v->s, r, "pid %d: set registers", tid);
	r = set_sigmask(v->s, tid, all_signals);
	if (r < 0)
		return r;
	if (ptrace(PTRACE_CONT, tid, NULL, NULL) < 0)
		return fail(v->s, errno, "pid %d: start the agent", tid);
	v->running |= tid == v->t->pid;
	return 0;
}

static int get_in(struct visit *v)
{
	struct thread *lead = leader(v->t);
	int r = write_stub(v, 0, &v->way_back, lead->sigmask);
	if (r >= 0)
		r = map_region(v);
	if (r < 0)
		return r;
	open_channel(v, &v->channel, LEADER_CHANNEL, LEADER_CHANNEL_LEN);
	*token(v) = 1; /* alone: the leader unmaps */
	open_channel(v, &v->thread_channel, THREAD_CHANNEL, THREAD_CHANNEL_LEN);
	r = build_exit(v, LEADER_FRAME, 0, lead, &v->way_back, &v->channel);
	if (r < 0)
		return r;
	robust_hold(v->channel.shared);
	return enter_agent(v, v->t->pid, &v->way_back, &v->channel);
}

int visit_begin(struct session *s, struct task *t, uint64_t vdso, uint64_t vdso_len,
	struct visit **ret_visit)
{
	struct visit *v = arena_new(&s->arena, struct visit);
	v->s = s;
	v->t = t;
	v->way_back = leader(t)->regs.gp;
	arch_fix_restart(t->pid, &v->way_back);
	if (!site_in_vdso(&v->site, t->pid, vdso, vdso_len)) {
		int r = site_in_text(s, &v->site, t->pid);
		if (r < 0)
			return r;
	}
	*ret_visit = v; /* visit_end() cleans up whatever was reached */
	return get_in(v);
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

static int wait_done(struct visit *v, pid_t tid, struct agent_channel *shared)
{
	const struct timespec slice = {.tv_nsec = WAIT_SLICE_MS * 1000000};
	for (;;) {
		uint32_t done = __atomic_load_n(&shared->done, __ATOMIC_SEQ_CST);
		if (done == shared->request)
			return 0;
		long r = syscall(SYS_futex, &shared->done, FUTEX_WAIT, done, &slice, NULL, 0);
		if (r < 0 && errno == ETIMEDOUT) {
			int looked = look_after(v, tid);
			if (looked < 0)
				return looked;
		}
	}
}

static int play(struct visit *v, pid_t tid, struct channel *ch, struct program *p)
{
	while (p->n_played < p->steps.n) {
		int r = channel_load(ch, p);
		if (r < 0)
			return r;
		ring(ch->shared);
		r = wait_done(v, tid, ch->shared);
		if (r >= 0)
			r = channel_collect(ch, p);
		if (r < 0)
			return r;
	}
	return 0;
}

int visit_play_meanwhile(struct visit *v, struct program *p, int (*meanwhile)(void *arg), void *arg)
{
	struct channel *ch = &v->channel;
	int r = channel_load(ch, p);
	if (r < 0)
		return r;
	ring(ch->shared);
	int done_here = meanwhile(arg);
	r = wait_done(v, v->t->pid, ch->shared);
	if (r >= 0)
		r = channel_collect(ch, p);
	if (r >= 0)
		r = play(v, v->t->pid, ch, p);
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
	return play(v, v->t->pid, &v->channel, p);
}

/* Back to the registers of the stop, as if nothing had happened; the thread is in an event stop. */
static int give_back(struct visit *v, struct thread *t)
{
	int r = set_sigmask(v->s, t->tid, t->sigmask);
	if (r < 0)
		return r;
	r = arch_set_gp(t->tid, &t->regs.gp);
	return r < 0 ? fail(v->s, r, "pid %d: give its registers back", t->tid) : 0;
}

int visit_play_thread(struct visit *v, struct thread *t, struct program *p)
{
	struct channel *ch = &v->thread_channel;
	struct user_regs_struct way_back = t->regs.gp;
	arch_fix_restart(t->tid, &way_back);
	open_channel(v, ch, THREAD_CHANNEL, THREAD_CHANNEL_LEN);
	int r = write_stub(v, STUB_MAX, &way_back, t->sigmask);
	if (r >= 0)
		r = build_exit(v, THREAD_FRAME, STUB_MAX, t, &way_back, ch);
	if (r < 0)
		return r;
	robust_hold(ch->shared);
	*token(v) = 0; /* two of them: the first to leave changes it */
	r = enter_agent(v, t->tid, &way_back, ch);
	if (r < 0) {
		robust_drop(ch->shared);
		return r;
	}
	r = play(v, t->tid, ch, p);
	int stopped = seize_interrupt(v->s, t->tid);
	if (stopped >= 0)
		stopped = give_back(v, t);
	if (stopped >= 0)
		*token(v) = 1;
	robust_drop(ch->shared);
	return r < 0 ? r : stopped;
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
	if (!v || !v->shared)
		return;
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

int visit_end(struct visit *v)
{
	if (!v || !v->site.written)
		return 0;
	int r = v->running ? seize_interrupt(v->s, v->t->pid) : 0;
	if (r >= 0 && v->region)
		r = unmap_region(v);
	if (r >= 0)
		r = to_event_stop(v);
	if (r >= 0)
		r = give_back(v, leader(v->t));
	if (r >= 0)
		r = site_write(v, 0, v->site.saved, SITE_LEN);
	visit_abandon(v);
	v->site.written = false;
	return r;
}
