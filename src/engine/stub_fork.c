/*
 * Birth of stubs.
 *
 * The root stub is a fork of the controller that sheds everything: it keeps the region, the socket
 * and the images directory, gives back the C library's restartable sequences (the kernel would
 * write to their memory after it is unmapped) and enters the agent.  All other processes and
 * threads are cloned by agents, straight into the agent, with CLONE_PTRACE: they inherit the
 * controller as their tracer and PTRACE_O_EXITKILL with it.
 *
 * In every stub all signals but SIGTRAP, by which agents park, are blocked.
 */
#include "engine/stub.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <linux/futex.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/agent_blob.h"
#include "engine/robust.h"
#include "engine/seize.h"
#include "engine/stub_region.h"
#include "image/dir.h"
#include "kernel/syscalls.h"
#include "task/exit_signal.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ull
#endif

/* --- the region --- */

void stub_region_init(struct stubs *st)
{
	memcpy(st->shared, agent_blob_start, agent_blob_len());
}

struct stub_gate *stub_gate(struct stubs *st)
{
	return (struct stub_gate *)(st->shared + STUB_GATE);
}

int stub_region_channel(struct stubs *st, struct thread *t)
{
	size_t len = t == leader(t->task) ? STUB_TASK_CHANNEL : STUB_THREAD_CHANNEL;
	if (st->used + len > st->size)
		return fail(st->s, ENOSPC, "pid %d: no channel left to restore it", t->vtid);
	channel_init_behind_stack(
		&t->channel, st->shared + st->used, st->addr + st->used, len, AGENT_PARK_TRAP);
	t->channel.shared->pid = t->task->vpid;
	t->channel.shared->tid = t->vtid;
	st->used += len;
	return 0;
}

/* --- the root stub --- */

static void drop_rseq(void)
{
#ifdef RSEQ_SIG
	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset,
			sizeof(struct rseq) > __rseq_size ? sizeof(struct rseq) : __rseq_size,
			RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
#endif
}

/* Puts our ends of the lanes and the images directory at their numbers, above which the rest is. */
static bool arrange_fds(const struct stubs *st, const int own[STUB_SERVICES])
{
	int above[STUB_SERVICES], high = st->task_images + 1;
	bool ok = true;
	for (int i = 0; i < STUB_SERVICES; i++)
		ok &= (above[i] = fcntl(own[i], F_DUPFD_CLOEXEC, high)) >= 0;
	for (int i = 0; i < STUB_SERVICES && ok; i++)
		ok = dup3(above[i], st->services[i], O_CLOEXEC) >= 0;
	return ok;
}

static bool close_others(const struct stubs *st)
{
	unsigned from = 0;
	bool ok = true;
	for (int i = 0; i < STUB_SERVICES; from = (unsigned)st->services[i++] + 1)
		if (from < (unsigned)st->services[i])
			ok &= close_range(from, (unsigned)st->services[i] - 1, 0) == 0;
	return ok && close_range(from, ~0u, 0) == 0;
}

__attribute__((noreturn)) static void root_main(
	struct stubs *st, struct thread *t, const int own[STUB_SERVICES])
{
	struct stub_gate *gate = stub_gate(st);
	while (!__atomic_load_n(&gate->open, __ATOMIC_SEQ_CST)) {
		uint32_t hold = __atomic_load_n(&gate->hold.hold, __ATOMIC_SEQ_CST);
		if (hold & FUTEX_OWNER_DIED)
			_exit(100);
		if (hold & FUTEX_WAITERS)
			syscall(SYS_futex, &gate->hold.hold, FUTEX_WAIT, hold, NULL, NULL, 0);
	}
	if (!arrange_fds(st, own))
		_exit(101);
	if (mprotect((void *)st->addr, STUB_CODE_LEN, PROT_READ | PROT_EXEC) < 0)
		_exit(102);
	if (!close_others(st))
		_exit(103);
	drop_rseq();
	uint64_t entry = st->addr, channel = t->channel.task_addr, stack = channel_stack(&t->channel);
	__asm__ volatile("mov %0, %%rsp\n\t"
			 "jmp *%1" ::"r"(stack),
			 "r"(entry), "D"(channel)
			 : "memory");
	__builtin_unreachable();
}

static int seize_root(struct stubs *st, pid_t pid)
{
	long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP;
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)options) == 0)
		return 0;
	options &= ~(long)PTRACE_O_SUSPEND_SECCOMP; /* needs CAP_SYS_ADMIN; only for filters */
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)options) == 0)
		return 0;
	return fail(st->s, errno, "pid %d: trace it", pid);
}

static int explain_fork_failure(struct stubs *st, const struct task *t, int err)
{
	if (err == EEXIST)
		return fail_remedy(st->s, err, "end that process or restore in another PID namespace",
			"PID %d is taken by another process", t->vpid);
	return fail(st->s, err, "create a process with PID %d", t->vpid);
}

static int make_lanes(struct stubs *st, int ret_theirs[STUB_SERVICES])
{
	for (int i = 0; i < STUB_LANES; i++) {
		int pair[2];
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
			return fail(st->s, errno, "make a socket pair");
		st->lanes[i] = pair[0];
		ret_theirs[i] = pair[1];
	}
	ret_theirs[STUB_LANES] = st->s->images->fd;
	return 0;
}

int stub_fork_root(struct stubs *st, struct task *t, bool sibling)
{
	int theirs[STUB_SERVICES];
	struct thread *lead = leader(t);
	int r = stub_region_channel(st, lead);
	if (r < 0)
		return r;
	if (st->explain) {
		fprintf(st->explain, "[controller] fork the root of the tree: clone3(set_tid=%d)\n", t->vpid);
		return 0;
	}
	r = make_lanes(st, theirs);
	if (r < 0)
		return r;
	/* not by the C library, which leaves out the two signals that it uses itself */
	const uint64_t blocked = ~(UINT64_C(1) << (SIGTRAP - 1));
	uint64_t before = 0;
	sys_sigmask(SIG_SETMASK, blocked, &before);
	stub_gate(st)->hold.hold = (uint32_t)gettid() | FUTEX_WAITERS;
	robust_hold(&stub_gate(st)->hold);
	pid_t set_tid = t->vpid;
	struct clone_args args = {
		.flags = CLONE_CLEAR_SIGHAND | (sibling ? CLONE_PARENT : 0),
		.exit_signal = sibling ? 0 : SIGCHLD,
		.set_tid = (uint64_t)(uintptr_t)&set_tid,
		.set_tid_size = 1,
	};
	pid_t pid = sys_clone3(&args);
	/* see clone_again() in stub.c */
	for (int i = 0; pid == -EEXIST && kill(t->vpid, 0) < 0 && i < STUB_PID_TRIES; i++) {
		poll(NULL, 0, STUB_PID_WAIT_MS);
		pid = sys_clone3(&args);
	}
	if (pid == 0)
		root_main(st, lead, theirs);
	sys_sigmask(SIG_SETMASK, before, NULL);
	for (int i = 0; i < STUB_LANES; i++)
		close(theirs[i]);
	if (pid < 0) {
		robust_drop(&stub_gate(st)->hold);
		return explain_fork_failure(st, t, -pid);
	}
	t->pid = lead->tid = pid;
	r = seize_root(st, pid);
	if (r < 0) {
		robust_drop(&stub_gate(st)->hold);
		kill(pid, SIGKILL);
		seize_wait4(pid, NULL);
		return r;
	}
	struct stub_gate *gate = stub_gate(st);
	__atomic_store_n(&gate->open, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&gate->hold.hold, 0, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &gate->hold.hold, FUTEX_WAKE, 1, NULL, NULL, 0);
	robust_drop(&gate->hold);
	return stub_adopt(st, lead);
}

/* --- clones made by agents --- */

static int plan_clone(struct stubs *st, struct thread *t, uint64_t flags, struct program *p)
{
	int r = t->channel.shared ? 0 : stub_region_channel(st, t);
	if (r < 0)
		return r;
	const struct channel *ch = &t->channel;
	struct clone_args args = {
		.flags = flags | CLONE_PTRACE,
		.exit_signal = flags & CLONE_THREAD ? 0 : exit_signal_of(t->task),
		.stack = ch->stack - CHANNEL_STACK,
		.stack_size = CHANNEL_STACK,
		.set_tid_size = 1,
	};
	struct arg args_arg = in_copy(p, &args, sizeof(args));
	program_link(p, args_arg, offsetof(struct clone_args, set_tid),
		in_copy(p, &t->vtid, sizeof(pid_t)));
	int step = program_step(p, flags & CLONE_THREAD ? "clone thread" : "fork",
		arena_printf(&st->s->arena, "%d", t->vtid), AGENT_CALL_CLONE, args_arg,
		imm(sizeof(args)), imm(ch->task_addr));
	program_expect(p, step, t->vtid);
	return 0;
}

static const uint64_t thread_flags =
	CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

int stub_plan_child(struct stubs *st, struct task *child, bool share_files, bool share_fs,
	struct program *p)
{
	uint64_t flags = (share_files ? CLONE_FILES : 0) | (share_fs ? CLONE_FS : 0);
	return plan_clone(st, leader(child), flags, p);
}

int stub_plan_thread(struct stubs *st, struct thread *t, struct program *p)
{
	return plan_clone(st, t, thread_flags, p);
}
