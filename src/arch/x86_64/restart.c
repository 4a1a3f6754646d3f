/*
 * A task stopped inside a system call shows the kernel's own restart codes in rax.
 *
 * Calls that the kernel would simply make again get ip moved back onto the instruction.  Calls
 * with a restart block (nanosleep, poll, futex with a timeout) keep their remaining time inside
 * the kernel, which no interface shows, and lose it with any rt_sigreturn.  They are made again as
 * they were.  A timeout then starts anew, which POSIX allows ("at least"), where -EINTR would be
 * seen by programs that were never signalled. nanosleep with req == rem, as sleep(1) does, goes on
 * with the remaining time that the kernel stored.
 * If the task was already inside restart_syscall, the original number is gone from the registers;
 * it is taken from the `mov $nr, %eax` in front of the instruction where that is there, and the
 * call returns -EINTR otherwise.
 */
#include "arch/arch.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

enum {
	ERESTARTSYS = 512,
	ERESTARTNOINTR = 513,
	ERESTARTNOHAND = 514,
	ERESTART_RESTARTBLOCK = 516,
	SYSCALL_INSN_LEN = 2,
	MOV_EAX_OPCODE = 0xb8,
};

static bool has_restart_block(uint32_t nr)
{
	return nr == SYS_nanosleep || nr == SYS_clock_nanosleep || nr == SYS_poll ||
		nr == SYS_futex || nr == 449 /* futex_waitv */;
}

/* The number that `mov $nr, %eax; syscall` at ip loaded, or -1. */
static int64_t number_before(pid_t tid, uint64_t ip)
{
	errno = 0;
	uint64_t word = (uint64_t)ptrace(PTRACE_PEEKTEXT, tid, ip - 5, NULL);
	if (errno || (word & 0xff) != MOV_EAX_OPCODE)
		return -1;
	uint32_t nr = (uint32_t)(word >> 8);
	return has_restart_block(nr) ? (int64_t)nr : -1;
}

void arch_fix_restart(pid_t tid, struct user_regs_struct *gp)
{
	if ((int64_t)gp->orig_rax < 0)
		return;
	switch (-(int64_t)gp->rax) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
		gp->rax = gp->orig_rax;
		gp->rip -= SYSCALL_INSN_LEN;
		break;
	case ERESTART_RESTARTBLOCK: {
		int64_t nr = gp->orig_rax == SYS_restart_syscall
			? number_before(tid, gp->rip - SYSCALL_INSN_LEN)
			: (int64_t)gp->orig_rax;
		if (nr < 0) {
			gp->rax = (uint64_t)-EINTR;
			break;
		}
		gp->rax = (uint64_t)nr;
		gp->rip -= SYSCALL_INSN_LEN;
		break;
	}
	default:
		break;
	}
}
