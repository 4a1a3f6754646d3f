/*
 * Restartable sequences: rseq(2), one registration per thread.
 *
 * PTRACE_GET_RSEQ_CONFIGURATION tells the registration.  A thread stopped inside a critical
 * section must not go on there: whatever CPU state the section relied on is void, so it is sent
 * to the section's abort handler, as the kernel does after a migration.  That has to be decided
 * before the agent enters, because its first return to user space already makes the kernel look
 * at rseq_cs and clear it.
 *
 * Sections marked NO_RESTART_ON_SIGNAL (gone since Linux 6.1) continue; their descriptor pointer
 * is put back at the very end, after everything that could clear it.
 */
#include <errno.h>
#include <linux/rseq.h>
#include <stddef.h>

#include "arch/arch.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect rseq_aspect;

enum {
	RSEQ_MIN_SIZE = 32,
	RSEQ_CS_OFFSET = 8,
	RSEQ_FLAGS_OFFSET = 16,
	RSEQ_PAGE = 4096, /* no kernel has an rseq area that large */
};

struct rseq_config {
	uint64_t pointer;
	uint32_t size, signature, flags, pad;
};

static int read_task(pid_t tid, uint64_t addr, void *to, size_t len)
{
	struct iovec local = {.iov_base = to, .iov_len = len};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = len};
	ssize_t n = sys_process_vm_readv(tid, &local, 1, &remote, 1);
	return n < 0 ? (int)n : (size_t)n == len ? 0 : -EFAULT;
}

/* What the kernel would do on the way back to user space (kernel/rseq.c rseq_ip_fixup()). */
static int leave_section(struct session *s, struct thread *t, RseqEntry *e, uint64_t cs_addr)
{
	struct rseq_cs cs;
	uint32_t flags;
	int r = read_task(t->tid, cs_addr, &cs, sizeof(cs));
	if (r >= 0)
		r = read_task(
			t->tid, e->rseq_abi_pointer + RSEQ_FLAGS_OFFSET, &flags, sizeof(flags));
	if (r < 0)
		return fail(s, r, "pid %d thread %d: read the rseq section at 0x%llx",
			t->task->vpid, t->vtid, (unsigned long long)cs_addr);
	if (cs.version) {
		block(s, t->task->vpid, NULL, "thread %d: rseq section of version %u", t->vtid,
			cs.version);
		return 0;
	}
	uint64_t ip = arch_ip(&t->regs.gp);
	if ((flags | cs.flags) & RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL) {
		e->has_rseq_cs_pointer = true;
		e->rseq_cs_pointer = cs_addr;
	} else if (ip - cs.start_ip < cs.post_commit_offset) {
		log_debug(s, "pid %d thread %d: aborts its rseq section at 0x%llx", t->task->vpid,
			t->vtid, (unsigned long long)ip);
		t->regs.gp.rip = cs.abort_ip;
	}
	return 0;
}

static int rseq_inspect(struct session *s, struct thread *t, void **state)
{
	(void)state;
	struct rseq_config config = {0};
	long n = ptrace(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, sizeof(config), &config);
	if (n < 0)
		return fail_remedy(s, errno,
			"a kernel with CONFIG_RSEQ and CONFIG_CHECKPOINT_RESTORE",
			"pid %d thread %d: ask for its rseq registration", t->task->vpid, t->vtid);
	if (config.flags)
		block(s, t->task->vpid, NULL, "thread %d: rseq registered with flags 0x%x", t->vtid,
			config.flags);
	RseqEntry *e = t->core->thread_core->rseq_entry = arena_new(&s->arena, RseqEntry);
	rseq_entry__init(e);
	e->rseq_abi_pointer = config.pointer;
	e->rseq_abi_size = config.size;
	e->signature = config.signature;
	if (!config.pointer)
		return 0;
	uint64_t cs_addr = 0;
	int r = read_task(t->tid, config.pointer + RSEQ_CS_OFFSET, &cs_addr, sizeof(cs_addr));
	if (r < 0)
		return fail(s, r, "pid %d thread %d: read its rseq area at 0x%llx", t->task->vpid,
			t->vtid, (unsigned long long)config.pointer);
	return cs_addr ? leave_section(s, t, e, cs_addr) : 0;
}

static int rseq_check(struct session *s, struct thread *t)
{
	const RseqEntry *e = t->core->thread_core->rseq_entry;
	if (e && e->rseq_abi_pointer &&
		(e->rseq_abi_size < RSEQ_MIN_SIZE || e->rseq_abi_size > RSEQ_PAGE))
		return fail(s, EBADMSG, "pid %d thread %d: rseq area of %u bytes", t->task->vpid,
			t->vtid, e->rseq_abi_size);
	return 0;
}

static int rseq_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	const RseqEntry *e = t->core->thread_core->rseq_entry;
	if (e && e->rseq_abi_pointer)
		program_step(p, "register rseq", NULL, SYS_rseq, imm(e->rseq_abi_pointer),
			imm(e->rseq_abi_size), imm(0), imm(e->signature));
	return 0;
}

static int rseq_settle(struct session *s, struct thread *t)
{
	const RseqEntry *e = t->core->thread_core->rseq_entry;
	if (!e || !e->has_rseq_cs_pointer || !e->rseq_cs_pointer || !e->rseq_abi_pointer)
		return 0;
	if (ptrace(PTRACE_POKEDATA, t->tid, e->rseq_abi_pointer + RSEQ_CS_OFFSET,
		    e->rseq_cs_pointer) < 0)
		return fail(s, errno, "pid %d thread %d: put its rseq section back", t->task->vpid,
			t->vtid);
	return 0;
}

const struct aspect rseq_aspect = {
	.name = "rseq",
	.inspect = rseq_inspect,
	.check = rseq_check,
	.plan = rseq_plan,
	.settle = rseq_settle,
};
