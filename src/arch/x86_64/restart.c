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
 * All that is so if no signal handler runs first: then it is for the kernel to say what becomes of
 * the call, also when the signal comes just as a restored thread is let go.  So take-over turns the
 * image's "in front of the call" back into "on the way out of it".
 */
#include "arch/arch.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

enum {
	ERESTARTSYS = 512,
	ERESTARTNOINTR = 513,
	ERESTARTNOHAND = 514,
	ERESTART_RESTARTBLOCK = 516,
	SYSCALL_INSN = 0x050f,
	SYSCALL_INSN_LEN = 2,
	MOV_EAX_OPCODE = 0xb8,
};

/* Calls that wait, and what they are for a signal with a handler: see signal(7). */
static const struct waiting {
	uint16_t nr;
	uint16_t code;	  /* SYS: EINTR unless SA_RESTART; else EINTR */
	bool by_any_stop; /* they have done nothing when they say EINTR, so they can be made again
			   */
} waiting[] = {
	{SYS_nanosleep, ERESTART_RESTARTBLOCK, false},
	{SYS_clock_nanosleep, ERESTART_RESTARTBLOCK, false},
	{SYS_poll, ERESTART_RESTARTBLOCK, false},
	{SYS_futex, ERESTART_RESTARTBLOCK, false},
	{449 /* futex_waitv */, ERESTART_RESTARTBLOCK, false},

	{SYS_pause, ERESTARTNOHAND, false},
	{SYS_rt_sigsuspend, ERESTARTNOHAND, false},
	{SYS_select, ERESTARTNOHAND, false},
	{SYS_pselect6, ERESTARTNOHAND, false},
	{SYS_ppoll, ERESTARTNOHAND, false},
	{SYS_msgsnd, ERESTARTNOHAND, false},
	{SYS_msgrcv, ERESTARTNOHAND, false},
	{SYS_epoll_wait, ERESTARTNOHAND, true},
	{SYS_epoll_pwait, ERESTARTNOHAND, true},
	{441 /* epoll_pwait2 */, ERESTARTNOHAND, true},
	{SYS_semop, ERESTARTNOHAND, true},
	{SYS_semtimedop, ERESTARTNOHAND, true},
	{SYS_rt_sigtimedwait, ERESTARTNOHAND, true},
	{SYS_io_getevents, ERESTARTNOHAND, true},
	{333 /* io_pgetevents */, ERESTARTNOHAND, true},
	{426 /* io_uring_enter */, ERESTARTNOHAND, true},

	{SYS_wait4, ERESTARTSYS, false},
	{SYS_waitid, ERESTARTSYS, false},
	{SYS_flock, ERESTARTSYS, false},
	{SYS_fcntl, ERESTARTSYS, false},
	{SYS_open, ERESTARTSYS, false}, /* of a FIFO */
	{SYS_openat, ERESTARTSYS, false},
	/* by any stop: of sockets with a timeout */
	{SYS_accept, ERESTARTSYS, true},
	{SYS_accept4, ERESTARTSYS, true},
	{SYS_connect, ERESTARTSYS, true},
	{SYS_read, ERESTARTSYS, true},
	{SYS_readv, ERESTARTSYS, true},
	{SYS_recvfrom, ERESTARTSYS, true},
	{SYS_recvmsg, ERESTARTSYS, true},
	{SYS_recvmmsg, ERESTARTSYS, true},
	{SYS_write, ERESTARTSYS, true},
	{SYS_writev, ERESTARTSYS, true},
	{SYS_sendto, ERESTARTSYS, true},
	{SYS_sendmsg, ERESTARTSYS, true},
	{SYS_sendmmsg, ERESTARTSYS, true},
};

static const struct waiting *find_waiting(uint64_t nr)
{
	for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
		if (waiting[i].nr == nr)
			return &waiting[i];
	return NULL;
}

static bool has_restart_block(uint64_t nr)
{
	const struct waiting *w = find_waiting(nr);
	return w && w->code == ERESTART_RESTARTBLOCK;
}

static bool ends_by_any_stop(uint64_t nr)
{
	const struct waiting *w = find_waiting(nr);
	return w && w->by_any_stop;
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
		gp->orig_rax = gp->rax = (uint64_t)nr;
		gp->rip -= SYSCALL_INSN_LEN;
		break;
	}
	default:
		break;
	}
}

/*
 * The code by which the kernel lets a handler end a call that a restored thread waits in, 0: none.
 * A restart block cannot be given back, and is of no use when the call ends or is made again.
 */
static int64_t code_of_waiting(const struct user_regs_struct *gp)
{
	const struct waiting *w = find_waiting(gp->orig_rax);
	if (!w || w->code != ERESTART_RESTARTBLOCK)
		return w ? w->code : 0;
	if (w->nr != SYS_futex)
		return ERESTARTNOHAND;
	uint64_t op = gp->rsi & FUTEX_CMD_MASK;
	if (op != FUTEX_WAIT && op != FUTEX_WAIT_BITSET)
		return 0;
	return gp->r10 /* a timeout */ ? ERESTARTNOHAND : ERESTARTSYS;
}

/* Does the thread stand in front of the instruction, and not behind a call that returned its
 * number? */
static bool is_at_syscall(pid_t tid, uint64_t ip)
{
	errno = 0;
	uint64_t word = (uint64_t)ptrace(PTRACE_PEEKTEXT, tid, ip, NULL);
	return !errno && (word & 0xffff) == SYSCALL_INSN;
}

void arch_resume_call(pid_t tid, struct user_regs_struct *gp)
{
	int64_t code = gp->rax == gp->orig_rax ? code_of_waiting(gp) : 0;
	if (code && is_at_syscall(tid, gp->rip)) {
		gp->rax = (uint64_t)-code;
		gp->rip += SYSCALL_INSN_LEN;
	} else {
		gp->orig_rax = UINT64_MAX;
	}
}
