/*
 * Code of the caller's own: memory for both sides in the room of the visit, and calls.
 *
 * The room is one shared mapping, readable and executable in the process until a part of it is
 * given another protection; no page is ever writable and executable there.  All of it is unmapped
 * with the agent, also if we are killed.
 *
 * While a function runs, fault signals are let through: for one that is blocked the kernel would
 * reset the process's own action.  As tracers we see it first and never deliver it.
 */
#include "internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "engine/visit.h"

int inject_protect(struct fermata_inject *t, size_t offset, size_t len, int prot)
{
	const uint64_t arg[6] = {t->room_addr + offset, len, (uint64_t)prot};
	int64_t result = 0;
	int r = fermata_inject_call(t, SYS_mprotect, arg, &result);
	if (r >= 0 && result < 0)
		r = inject_fail(t, (int)-result, "pid %d: protect memory", t->task->pid);
	return r;
}

ssize_t inject_take_room(struct fermata_inject *t, size_t len, int prot)
{
	int r = inject_need_agent(t);
	if (r < 0)
		return r;
	size_t offset = t->room_used, left = t->room_len - offset;
	if (!len || len > left)
		return inject_fail(t, ENOSPC, "no room for %zu bytes: %zu are left", len, left);
	len = (len + ARCH_PAGE_SIZE - 1) & ~(size_t)(ARCH_PAGE_SIZE - 1);
	if (prot != (PROT_READ | PROT_EXEC))
		r = inject_protect(t, offset, len, prot);
	if (r < 0)
		return r;
	t->room_used = offset + len;
	return (ssize_t)offset;
}

void *fermata_inject_share(struct fermata_inject *t, size_t len, uint64_t *ret_address)
{
	ssize_t offset = inject_take_room(t, len, PROT_READ | PROT_WRITE);
	if (offset < 0)
		return NULL;
	*ret_address = t->room_addr + (size_t)offset;
	return t->room + offset;
}

uint64_t fermata_inject_caller(struct fermata_inject *t)
{
	return inject_need_agent(t) < 0 ? 0 : visit_controller_word(t->visit);
}

static int need_stack(struct fermata_inject *t)
{
	if (t->stack_end)
		return 0;
	ssize_t offset = inject_take_room(t, INJECT_STACK, PROT_READ | PROT_WRITE);
	if (offset < 0)
		return (int)offset;
	t->stack_end = t->room_addr + (size_t)offset + INJECT_STACK;
	return 0;
}

static int nothing(void *data)
{
	(void)data;
	return 0;
}

static uint64_t without(uint64_t set, int signo)
{
	return set & ~(1ull << (signo - 1));
}

static uint64_t all_but_faults(void)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
	uint64_t set = visit_all_signals;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		set = without(set, faults[i]);
	return set;
}

int fermata_inject_run_meanwhile(struct fermata_inject *t, uint64_t function, const uint64_t arg[4],
	int (*meanwhile)(void *data), void *data, int64_t *ret_result)
{
	int r = inject_need_agent(t);
	if (r >= 0)
		r = need_stack(t);
	if (r < 0)
		return r;
	static const uint64_t none[4] = {0};
	const uint64_t *a = arg ? arg : none;
	const uint64_t open = all_but_faults();
	struct program *p = &t->call;
	program_reset(p);
	program_step(p, "let faults through", NULL, SYS_rt_sigprocmask, imm(SIG_SETMASK),
		in(p, &open, sizeof(open)), imm(0), imm(sizeof(open)));
	int step = program_step(p, "function", NULL, AGENT_CALL_FUNCTION, imm(function),
		imm(t->stack_end), imm(a[0]), imm(a[1]), imm(a[2]), imm(a[3]));
	program_may_fail(p, step);
	program_step(p, "block signals", NULL, SYS_rt_sigprocmask, imm(SIG_SETMASK),
		in(p, &visit_all_signals, sizeof(visit_all_signals)), imm(0), imm(sizeof(open)));
	r = visit_play_meanwhile(t->visit, p, meanwhile, data);
	bool back = p->n_played == p->steps.n;
	t->broken = !back;
	if (back)
		*ret_result = program_result(p, step);
	return inject_report(t, &t->s, r);
}

int fermata_inject_run(
	struct fermata_inject *t, uint64_t function, const uint64_t arg[4], int64_t *ret_result)
{
	return fermata_inject_run_meanwhile(t, function, arg, nothing, NULL, ret_result);
}
