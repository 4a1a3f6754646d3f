/*
 * Take-over: a stub becomes the task it stands for.
 *
 * The leader makes the last call, munmap() of the region, through the system call instruction of
 * the task's own vDSO; every thread then gets its registers and signal mask by ptrace.  They do not
 * run before the pipeline detaches from them.  (PTRACE_SINGLESTEP would be one stop less, but the
 * kernel resets an ignored SIGTRAP to its default when it reports a step.)
 *
 * At the end leaders are in an event stop, other threads still in the stop of the SIGTRAP by which
 * they parked.  That is dropped, however they leave it: wait4() has taken it (kernel/signal.c,
 * ptrace_stop() returns what is then 0), also if the controller dies once PTRACE_O_EXITKILL is gone.
 */
#include "engine/stub.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "kernel/syscalls.h"

static int explain(struct stubs *st, const struct task *t)
{
	fprintf(st->explain, "[pid %d] unmap the agent: munmap(0x%llx, %zu)\n", t->vpid,
		(unsigned long long)st->addr, st->size);
	vec_for_each(&t->threads, th)
		fprintf(st->explain, "[controller] set registers of %d: ip 0x%llx, sp 0x%llx, mask %llx\n",
			(*th)->vtid, (unsigned long long)arch_ip(&(*th)->regs.gp),
			(unsigned long long)arch_sp(&(*th)->regs.gp),
			(unsigned long long)(*th)->sigmask);
	return 0;
}

int stub_begin_become(struct stubs *st, struct task *t, uint64_t syscall_ip)
{
	struct user_regs_struct gp;
	const uint64_t arg[6] = {st->addr, st->size};
	if (st->explain)
		return explain(st, t);
	int r = arch_get_gp(t->pid, &gp);
	if (r >= 0) {
		arch_regs_call(&gp, syscall_ip, SYS_munmap, arg);
		r = arch_set_gp(t->pid, &gp);
	}
	if (r < 0)
		return fail(st->s, r, "pid %d: set registers", t->pid);
	if (ptrace(PTRACE_SYSCALL, t->pid, NULL, NULL) < 0)
		return fail(st->s, errno, "pid %d: take the agent out", t->pid);
	return 0;
}

/* Waits for a stop of this kind; others on the way are none of ours. */
static int wait_stop(struct stubs *st, pid_t tid, bool event)
{
	for (;;) {
		int status;
		if (wait4(tid, &status, __WALL, NULL) < 0) {
			if (errno == EINTR)
				continue;
			return fail(st->s, errno, "pid %d: take the agent out", tid);
		}
		if (!WIFSTOPPED(status))
			return fail(st->s, ECHILD, "pid %d died at the end of its restore", tid);
		if (event ? status >> 16 == PTRACE_EVENT_STOP : WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 0;
		if (WSTOPSIG(status) == SIGSEGV || WSTOPSIG(status) == SIGILL)
			return fail(st->s, EFAULT, "pid %d: signal %d at the end of its restore", tid,
				WSTOPSIG(status));
		ptrace(event ? PTRACE_CONT : PTRACE_SYSCALL, tid, NULL, NULL);
	}
}

static int check_unmapped(struct stubs *st, const struct task *t)
{
	struct user_regs_struct gp;
	int r = arch_get_gp(t->pid, &gp);
	if (r < 0 || arch_result(&gp) != 0)
		return fail(st->s, r < 0 ? r : (int)arch_result(&gp), "pid %d: unmap the agent", t->pid);
	return 0;
}

int stub_set_registers(struct stubs *st, struct thread *t)
{
	if (st->explain)
		return 0;
	struct user_regs_struct gp = t->regs.gp;
	arch_resume_call(t->tid, &gp);
	int r = arch_set_xstate(t->tid, &t->regs);
	if (r >= 0)
		r = arch_set_gp(t->tid, &gp);
	if (r < 0)
		return fail(st->s, r, "pid %d: set registers", t->tid);
	if (ptrace(PTRACE_SETSIGMASK, t->tid, sizeof(t->sigmask), &t->sigmask) < 0)
		return fail(st->s, errno, "pid %d: set the signal mask", t->tid);
	return 0;
}

/* No instruction of the task runs between the two stops. */
static int begin_event_stop(struct stubs *st, struct thread *t)
{
	if (ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL) < 0 ||
		ptrace(PTRACE_CONT, t->tid, NULL, NULL) < 0)
		return fail(st->s, errno, "pid %d: stop it again", t->tid);
	return 0;
}

/* The leader goes on from the entry of its munmap() to the event stop behind it. */
int stub_end_become(struct stubs *st, struct task *t)
{
	if (st->explain)
		return 0;
	int r = wait_stop(st, t->pid, /* event= */ false);
	return r < 0 ? r : begin_event_stop(st, leader(t));
}

int stub_rest(struct stubs *st, struct task *t)
{
	if (st->explain)
		return 0;
	int r = wait_stop(st, t->pid, /* event= */ true);
	if (r >= 0)
		r = check_unmapped(st, t);
	return r < 0 ? r : stub_set_registers(st, leader(t));
}
