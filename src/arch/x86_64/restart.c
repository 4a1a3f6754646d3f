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
 *
 * Some calls (signal(7): epoll_wait, semop, sigtimedwait, sockets with a timeout, ...) have no
 * restart code: any stop, also ours, ends them with EINTR.  While the thread is still on its way
 * out of the call, the code can be put there: the kernel then returns EINTR if a handler runs
 * first, and makes the call again if not.
 *
 * All that is so if no signal handler runs first: task/interrupted.c.
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

/*
 * Calls that have done nothing when they say EINTR, so they can be made again.  Of what is done
 * with descriptors, these are sockets with a timeout; close() is none of them.
 */
static bool ends_by_any_stop(uint64_t nr)
{
	static const uint16_t calls[] = {
		SYS_epoll_wait,
		SYS_epoll_pwait,
		441, /* epoll_pwait2 */
		SYS_semop,
		SYS_semtimedop,
		SYS_rt_sigtimedwait,
		SYS_io_getevents,
		333, /* io_pgetevents */
		426, /* io_uring_enter */
		SYS_accept,
		SYS_accept4,
		SYS_connect,
		SYS_read,
		SYS_readv,
		SYS_recvfrom,
		SYS_recvmsg,
		SYS_recvmmsg,
		SYS_write,
		SYS_writev,
		SYS_sendto,
		SYS_sendmsg,
		SYS_sendmmsg,
	};
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i] == nr)
			return true;
	return false;
}

int arch_forget_interruption(pid_t tid, struct user_regs_struct *gp)
{
	if ((int64_t)gp->orig_rax < 0 || (int64_t)gp->rax != -EINTR ||
		!ends_by_any_stop(gp->orig_rax))
		return 0;
	gp->rax = (uint64_t)-ERESTARTNOHAND;
	return arch_set_gp(tid, gp);
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

void arch_end_interrupted(struct user_regs_struct *gp)
{
	int64_t code = -(int64_t)gp->rax;
	if ((int64_t)gp->orig_rax >= 0 && (code == ERESTARTNOHAND || code == ERESTART_RESTARTBLOCK))
		gp->rax = (uint64_t)-EINTR;
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

/* As handle_signal() of arch/x86/kernel/signal.c has it. */
bool arch_is_interrupted(const struct user_regs_struct *gp, bool has_restart)
{
	if ((int64_t)gp->orig_rax < 0)
		return false;
	switch (-(int64_t)gp->rax) {
	case ERESTARTSYS:
		return !has_restart;
	case ERESTARTNOHAND:
	case ERESTART_RESTARTBLOCK:
		return true;
	default:
		return false;
	}
}

void arch_core_interrupt(CoreEntry *core, const struct user_regs_struct *gp)
{
	core->thread_info->gpregs->ax = (uint64_t)-EINTR;
	core->thread_info->gpregs->ip = gp->rip;
}
