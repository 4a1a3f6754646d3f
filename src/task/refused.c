/*
 * Properties that no restore can bring back: what would make the restored program fault or lose
 * what it relies on blocks the dump.
 *
 * Shadow stacks (CET) show in the status, syscall user dispatch is read by ptrace, pointer tags (LAM)
 * inside.
 */
#include <elf.h>
#include <linux/keyctl.h>
#include <sys/uio.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect refused_aspect;

enum {
	GET_UNTAG_MASK = 0x4001, /* arch_prctl: ARCH_GET_UNTAG_MASK */
	READ_LDT = 0,		 /* modify_ldt */
	IO_BITMAP = 0x201,	 /* NT_386_IOPERM */
	SCHED_CORE = 62,	 /* prctl: PR_SCHED_CORE, PR_SCHED_CORE_GET */
	SCHED_CORE_GET = 0,
	OF_THREAD = 0,
};

/* Steps, -1: not asked. */
struct asked {
	int tags, segments, thread_keys, process_keys;
	uint64_t mask, segment;
};

struct sud_config {
	uint64_t mode, selector, offset, len;
};

static bool has_io_ports(pid_t tid)
{
	char some[8];
	struct iovec iov = {some, sizeof(some)};
	return ptrace(PTRACE_GETREGSET, tid, IO_BITMAP, &iov) >= 0 && iov.iov_len;
}

static bool has_core_cookie(pid_t tid)
{
	uint64_t cookie = 0;
	return prctl(SCHED_CORE, SCHED_CORE_GET, tid, OF_THREAD, &cookie) == 0 && cookie;
}

static int refused_inspect(struct session *s, struct thread *t, void **state)
{
	(void)state;
	if (t->status.shadow_stack)
		block(s, t->task->vpid, NULL, "thread %d: uses a shadow stack (CET)", t->vtid);
	struct sud_config sud = {0};
	if (ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, t->tid, sizeof(sud), &sud) >= 0 &&
		sud.mode)
		block(s, t->task->vpid, NULL, "thread %d: uses syscall user dispatch", t->vtid);
	if (has_io_ports(t->tid))
		block(s, t->task->vpid, NULL, "thread %d: has access to I/O ports (ioperm)",
			t->vtid);
	if (has_core_cookie(t->tid))
		block(s, t->task->vpid, NULL,
			"thread %d: shares cores only with some tasks (PR_SCHED_CORE)", t->vtid);
	return 0;
}

static int ask_keyring(struct program *p, int64_t which)
{
	return program_may_fail(p, program_step(p, "look for", "keys", SYS_keyctl,
					   imm(KEYCTL_GET_KEYRING_ID), simm(which), imm(0)));
}

static int refused_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	struct asked *x = *state = arena_new(&s->arena, struct asked);
	x->thread_keys = ask_keyring(p, KEY_SPEC_THREAD_KEYRING);
	x->process_keys = x->tags = x->segments = -1;
	if (t != leader(t->task))
		return 0;
	x->process_keys = ask_keyring(p, KEY_SPEC_PROCESS_KEYRING);
	x->tags = program_may_fail(
		p, program_step(p, "look for", "pointer tags", SYS_arch_prctl, imm(GET_UNTAG_MASK),
			   out(p, &x->mask, sizeof(x->mask))));
	x->segments = program_may_fail(
		p, program_step(p, "look for", "segments", SYS_modify_ldt, imm(READ_LDT),
			   out(p, &x->segment, sizeof(x->segment)), imm(sizeof(x->segment))));
	return 0;
}

static int refused_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	const struct asked *x = state;
	pid_t pid = t->task->vpid;
	if (program_result(p, x->thread_keys) > 0)
		block(s, pid, "have it discard them", "thread %d: has a keyring of its own", t->vtid);
	if (t != leader(t->task))
		return 0;
	if (program_result(p, x->process_keys) > 0)
		block(s, pid, "have it discard them", "has a keyring of its own");
	if (program_result(p, x->tags) >= 0 && x->mask != UINT64_MAX)
		block(s, pid, NULL, "uses tagged pointers (LAM)");
	if ((int32_t)program_result(p, x->segments) > 0)
		block(s, pid, NULL, "has segments of its own (modify_ldt)");
	return 0;
}

const struct aspect refused_aspect = {
	.name = "properties that cannot be restored",
	.inspect = refused_inspect,
	.collect = refused_collect,
	.store = refused_store,
};
