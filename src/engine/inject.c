/*
 * The agent in a live task: how it gets in and out.
 *
 * In: a stub (arch/x86_64/stub.c: calls and the way back) is written into the site, and the leader
 * is pointed at it to make a shared mapping, the region.  That is opened (region.c), filled with the
 * agent and entered.
 * Out: the stub again, for a munmap().
 *
 * Each way is a row of stages.  A stage ends by letting the leader run to its next stop, and the
 * next one begins by waiting for that; so the same stage of many tasks is gone through before the
 * next, and nobody waits for the two processors to hand one task back and forth.
 *
 * What happens if the controller dies (its tracees then run on):
 *  - before the leader is pointed at the stub: nothing was changed;
 *  - while it is in the stub: what was mapped is unmapped, the signal mask set back, and the task
 *    is where it was;
 *  - while the agent works or waits: it finishes its step list, sees FUTEX_OWNER_DIED, waits until
 *    the other threads have left their seats (guests.c), and leaves through its signal frame into
 *    the stub, which unmaps the region.
 * This holds for each task by itself, however many visits are open.
 * Signals are blocked while the agent is in, and were never taken from the task's queues.  On the
 * way in the registers are set before the mask, on the way out after it: a task that is let go
 * in between still finds the agent's way to its own mask.
 */
#include "engine/inject.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/robust.h"
#include "engine/seize.h"
#include "engine/visit.h"
#include "kernel/syscalls.h"

const uint64_t visit_all_signals = UINT64_MAX;

static int set_sigmask(struct session *s, pid_t tid, uint64_t mask)
{
	if (ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) < 0)
		return fail(s, errno, "pid %d: set the signal mask", tid);
	return 0;
}

/* --- calls through the stub --- */

/* gp points into the stub; the leader runs to the entry of its call. */
static int begin_call(struct visit *v, const struct user_regs_struct *gp)
{
	pid_t tid = v->t->pid;
	int r = arch_set_gp(tid, gp);
	if (r < 0)
		return fail(v->s, r, "pid %d: set registers", tid);
	r = set_sigmask(v->s, tid, visit_all_signals);
	if (r >= 0 && ptrace(PTRACE_SYSCALL, tid, NULL, NULL) < 0)
		r = fail(v->s, errno, "pid %d: run a system call in it", tid);
	return r;
}

/* Waits for the leader's next system call stop; other stops on the way are none of ours. */
static int await_call_stop(struct visit *v)
{
	pid_t tid = v->t->pid;
	for (;;) {
		int status, waited = seize_wait4(tid, &status);
		if (waited < 0)
			return fail(v->s, waited, "pid %d: run a system call in it", tid);
		if (!WIFSTOPPED(status))
			return fail(v->s, ESRCH, "pid %d died while it was being dumped", tid);
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 0;
		if (WSTOPSIG(status) == SIGSEGV || WSTOPSIG(status) == SIGILL)
			return fail(v->s, EFAULT, "pid %d: signal %d in the injected call", tid,
				WSTOPSIG(status));
		visit_hold_stop(v, status);
		if (ptrace(PTRACE_SYSCALL, tid, NULL, NULL) < 0)
			return fail(v->s, errno, "pid %d: run a system call in it", tid);
	}
}

static int result_of_call(struct visit *v, int64_t *ret)
{
	struct user_regs_struct gp;
	int r = arch_get_gp(v->t->pid, &gp);
	if (r < 0)
		return fail(v->s, r, "pid %d: read registers", v->t->pid);
	*ret = arch_result(&gp);
	return 0;
}

int visit_call(struct visit *v, uint64_t nr, const uint64_t arg[6], int64_t *ret)
{
	struct user_regs_struct gp = v->way_back;
	arch_regs_stub_call(&gp, v->site.addr, nr, arg);
	int r = begin_call(v, &gp);
	if (r >= 0)
		r = await_call_stop(v);
	if (r >= 0 && ptrace(PTRACE_SYSCALL, v->t->pid, NULL, NULL) < 0)
		r = fail(v->s, errno, "pid %d: run a system call in it", v->t->pid);
	if (r >= 0)
		r = await_call_stop(v);
	return r < 0 ? r : result_of_call(v, ret);
}

/* --- getting in --- */

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
	 * Without a tracer its filters are back in force. If they might not let it unmap, nothing but
	 * rt_sigreturn is called, and the mapping stays.
	 */
	if (lead->status.seccomp && !lead->may_clean_up)
		return visit_build_frame(v, LEADER_FRAME, &lead->regs, &gp, lead->sigmask, &v->channel);
	arch_regs_stub_unmap(&gp, v->site.addr, v->region, v->len);
	v->channel.shared->unmap_len = v->region + LEADER_FRAME + arch_sigframe_unmap_len();
	return visit_build_frame(v, LEADER_FRAME, &lead->regs, &gp, visit_all_signals, &v->channel);
}

static int make_map_call(struct visit *v)
{
	int r = write_stub(v);
	struct user_regs_struct gp = v->way_back;
	arch_regs_stub_map(&gp, v->site.addr, v->len);
	return r < 0 ? r : begin_call(v, &gp);
}

static int pass_entry(struct visit *v)
{
	int r = await_call_stop(v);
	if (r >= 0 && ptrace(PTRACE_SYSCALL, v->t->pid, NULL, NULL) < 0)
		r = fail(v->s, errno, "pid %d: run a system call in it", v->t->pid);
	return r;
}

static const char *what_limits_mappings(const struct visit *v)
{
	struct rlimit limit;
	if (prlimit(v->t->pid, RLIMIT_AS, NULL, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		return arena_printf(&v->s->arena,
			"raise RLIMIT_AS of pid %d: prlimit --as=unlimited -p %d", v->t->pid,
			v->t->pid);
	return "raise /proc/sys/vm/max_map_count";
}

static int take_region(struct visit *v)
{
	int64_t addr = 0;
	int r = await_call_stop(v);
	if (r >= 0)
		r = result_of_call(v, &addr);
	if (r < 0)
		return r;
	if (addr < 0 && addr > -4096)
		return fail_remedy(v->s, (int)addr,
			addr == -ENOMEM ? what_limits_mappings(v) : NULL,
			"pid %d: map the agent", v->t->pid);
	v->region = (uint64_t)addr;
	return visit_open_region(v);
}

/* The leader is stopped before the agent's first instruction; its first program lets it go. */
static int enter_agent(struct visit *v)
{
	visit_open_channel(v, &v->channel, LEADER_CHANNEL, LEADER_CHANNEL_LEN);
	int r = build_way_out(v);
	if (r < 0)
		return r;
	robust_hold(v->channel.shared);
	return visit_aim(v, v->t->pid, &v->way_back, &v->channel);
}

typedef int (*stage_fn)(struct visit *v);
static const stage_fn way_in[] = {make_map_call, pass_entry, take_region, enter_agent};
enum { WAY_IN = sizeof(way_in) / sizeof(way_in[0]) };

static int go_through(struct visit *v, const stage_fn *way, int stage)
{
	if (v->failed || v->stage != stage)
		return 0;
	int r = way[stage](v);
	v->failed = r < 0;
	v->stage++;
	return r;
}

/* All of them stage by stage; one that fails does not keep the others from going on. */
static int go_together(struct visit *const *v, size_t n, const stage_fn *way, int n_stages)
{
	int r = 0;
	for (int stage = 0; stage < n_stages; stage++) {
		for (size_t i = 0; i < n; i++) {
			int err = v[i] ? go_through(v[i], way, stage) : 0;
			r = r < 0 ? r : err;
		}
	}
	return r;
}

/* Registers and mask that a killed dump gave it are not its own. */
static int check_remains(struct visit *v)
{
	vec_for_each (&v->t->threads, th)
		if (site_holds(&v->site, arch_ip(&(*th)->regs.gp)))
			return fail_remedy(v->s, EBUSY,
				v->t->state == TASK_STOPPED ? "continue it (kill -CONT), then try again"
							    : "try again",
				"pid %d is still on its way out of a dump that was killed", v->t->vpid);
	return 0;
}

static int open_visit(struct session *s, struct task *t, uint64_t vdso, uint64_t vdso_len,
	size_t room, struct visit **ret_visit)
{
	struct visit *v = arena_new(&s->arena, struct visit);
	v->s = s;
	v->t = t;
	v->len = REGION_LEN + room;
	v->way_back = leader(t)->regs.gp;
	v->controller = (uint32_t)gettid();
	arch_fix_restart(t->pid, &v->way_back);
	*ret_visit = v; /* visits_end() cleans up whatever was reached */
	int r = site_open(s, &v->site, t->pid, vdso, vdso_len);
	v->n_seats = v->site.n_seats;
	if (r >= 0)
		r = check_remains(v);
	v->failed = r < 0;
	return r < 0 ? r : go_through(v, way_in, 0);
}

int visit_open(struct session *s, struct task *t, uint64_t vdso, uint64_t vdso_len,
	struct visit **ret_visit)
{
	return open_visit(s, t, vdso, vdso_len, /* room= */ 0, ret_visit);
}

void *visits_reserve(size_t n)
{
	void *room = mmap(NULL, n * REGION_LEN, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return room == MAP_FAILED ? NULL : room;
}

void visits_unreserve(void *room, size_t n)
{
	if (room)
		munmap(room, n * REGION_LEN);
}

void visit_place(struct visit *v, void *room, size_t i)
{
	v->place = room ? (char *)room + i * REGION_LEN : NULL;
}

int visits_enter(struct visit *const *v, size_t n)
{
	return go_together(v, n, way_in, WAY_IN);
}

int visit_begin(struct session *s, struct task *t, uint64_t vdso, uint64_t vdso_len,
	struct visit **ret_visit)
{
	int r = visit_open(s, t, vdso, vdso_len, ret_visit);
	return r < 0 ? r : visits_enter(ret_visit, 1);
}

int visit_begin_with_room(struct session *s, struct task *t, uint64_t vdso, uint64_t vdso_len,
	size_t room, struct visit **ret_visit)
{
	int r = open_visit(s, t, vdso, vdso_len, room, ret_visit);
	return r < 0 ? r : visits_enter(ret_visit, 1);
}

void *visit_room(const struct visit *v, uint64_t *ret_addr, size_t *ret_len)
{
	*ret_addr = v->region + REGION_LEN;
	*ret_len = v->len - REGION_LEN;
	return v->shared + REGION_LEN;
}

uint64_t visit_controller_word(const struct visit *v)
{
	return v->channel.task_addr + offsetof(struct agent_channel, hold);
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
	return v->region ? v->region + v->len : 0;
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
	if (!v->place)
		munmap(v->shared, v->len);
	v->shared = NULL;
}

static int ask_to_stop(struct visit *v)
{
	int r = visit_clear_seats(v);
	int asked = v->running ? seize_ask(v->s, v->t->pid) : 0;
	return r < 0 ? r : asked;
}

static int make_unmap_call(struct visit *v)
{
	int r = v->running ? seize_await(v->s, v->t->pid, &v->t->stop_signo) : 0;
	v->running = false;
	/* the agent leaves the extended state alone, code in the room may not */
	if (r >= 0 && v->shared && v->len > REGION_LEN &&
		arch_set_xstate(v->t->pid, &leader(v->t)->regs) < 0)
		r = fail(v->s, errno, "pid %d: give its extended registers back", v->t->pid);
	if (r < 0 || !v->region)
		return r;
	struct user_regs_struct gp = v->way_back;
	arch_regs_stub_unmap(&gp, v->site.addr, v->region, v->len);
	return begin_call(v, &gp);
}

/* Out of a system call stop into an event stop, before any further instruction. */
static int leave_call(struct visit *v)
{
	pid_t tid = v->t->pid;
	int r = v->region ? await_call_stop(v) : 0;
	if (r >= 0 && (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 ||
			      ptrace(PTRACE_CONT, tid, NULL, NULL) < 0))
		r = fail(v->s, errno, "pid %d: stop it again", tid);
	return r;
}

static int await_event_stop(struct visit *v)
{
	pid_t tid = v->t->pid;
	int status;
	do {
		if (seize_wait4(tid, &status) < 0 || !WIFSTOPPED(status))
			return fail(v->s, ESRCH, "pid %d died while it was being dumped", tid);
		visit_hold_stop(v, status);
	} while (status >> 16 != PTRACE_EVENT_STOP && ptrace(PTRACE_CONT, tid, NULL, NULL) == 0);
	return 0;
}

static int give_back_all(struct visit *v)
{
	int64_t result = 0;
	int r = await_event_stop(v);
	if (r >= 0 && v->region)
		r = result_of_call(v, &result);
	if (r >= 0 && result < 0)
		r = fail(v->s, (int)result, "pid %d: unmap the agent", v->t->pid);
	if (r >= 0)
		r = visit_give_back(v, leader(v->t));
	return r < 0 ? r : site_clear(v->s, &v->site);
}

static const stage_fn way_out[] = {ask_to_stop, make_unmap_call, leave_call, give_back_all};
enum { WAY_OUT = sizeof(way_out) / sizeof(way_out[0]) };

/* From wherever it got to on its way in. */
static void turn_round(struct visit *v)
{
	v->failed = !v->site.written;
	v->stage = 0;
}

int visits_end(struct visit *const *v, size_t n)
{
	/* those that are still on their way in: to a stop whose meaning is known */
	int r = go_together(v, n, way_in, WAY_IN);
	for (size_t i = 0; i < n; i++)
		if (v[i])
			turn_round(v[i]);
	int left = go_together(v, n, way_out, WAY_OUT);
	for (size_t i = 0; i < n; i++)
		visit_abandon(v[i]);
	return r < 0 ? r : left;
}

int visit_end(struct visit *v)
{
	return visits_end(&v, 1);
}
