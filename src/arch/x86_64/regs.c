/*
 * Live registers of a stopped task by ptrace.
 *
 * NT_PRSTATUS tells the mode by its length: a 32-bit task gives the shorter i386 set.
 * NT_X86_XSTATE is always the standard, non-compacted layout (arch/x86/kernel/fpu/regset.c); parts that
 * xstate_bv calls untouched are filled in since Linux 5.14.
 */
#include "arch/arch.h"

#include <elf.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

int arch_get_gp(pid_t tid, struct user_regs_struct *ret_gp)
{
	struct user_regs_struct gp;
	struct iovec iov = {&gp, sizeof(gp)};
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov) < 0)
		return -errno;
	if (iov.iov_len != sizeof(gp))
		return -ENOEXEC;
	*ret_gp = gp;
	return 0;
}

int arch_set_gp(pid_t tid, const struct user_regs_struct *gp)
{
	struct iovec iov = {(void *)(uintptr_t)gp, sizeof(*gp)};
	return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &iov) < 0 ? -errno : 0;
}

int arch_get_xstate(struct session *s, pid_t tid, struct arch_regs *regs)
{
	uint8_t buf[ARCH_XSTATE_MAX];
	struct iovec iov = {buf, sizeof(buf)};
	if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov) < 0)
		return -errno;
	regs->xstate = arena_memdup(&s->arena, buf, iov.iov_len);
	regs->xstate_len = iov.iov_len;
	return 0;
}

int arch_set_xstate(pid_t tid, const struct arch_regs *regs)
{
	struct iovec iov = {regs->xstate, regs->xstate_len};
	return ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &iov) < 0 ? -errno : 0;
}

void arch_regs_call(struct user_regs_struct *gp, uint64_t ip, uint64_t nr, const uint64_t arg[6])
{
	gp->rip = ip;
	gp->rax = nr;
	gp->orig_rax = UINT64_MAX; /* not inside a call: no restart logic */
	gp->rdi = arg[0];
	gp->rsi = arg[1];
	gp->rdx = arg[2];
	gp->r10 = arg[3];
	gp->r8 = arg[4];
	gp->r9 = arg[5];
}

void arch_regs_enter(struct user_regs_struct *gp, uint64_t entry, uint64_t channel, uint64_t stack)
{
	enum { TRAP_AND_DIRECTION = 0x100 | 0x400 };
	gp->rip = entry;
	gp->rdi = channel;
	gp->rsp = stack;
	gp->orig_rax = UINT64_MAX;
	gp->eflags &= ~(uint64_t)TRAP_AND_DIRECTION;
}
