/*
 * Everything that depends on the processor, behind one small header.
 *
 * Registers as ptrace gives them, their place in core images, the instructions and the signal
 * frame that the engine puts into a task.  A new architecture fills src/arch/<name>/.
 */
#ifndef FERMATA_ARCH_ARCH_H
#define FERMATA_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "core.pb-c.h"
#include "cpuinfo.pb-c.h"

#include "base/session.h"

enum {
	ARCH_XSTATE_MAX = 16384, /* bytes; AMX needs 11 KiB */
	ARCH_PAGE_SIZE = 4096,
};

/* First address that user space never has. */
#define ARCH_TASK_SIZE 0x7ffffffff000ull

struct arch_regs {
	struct user_regs_struct gp;
	size_t xstate_len; /* 0: not read */
	uint8_t *xstate;   /* in the session's arena */
};

/* --- live registers (x86_64/regs.c) --- */

/* The stopped task's general registers. -ENOEXEC when it runs 32-bit code. */
int arch_get_gp(pid_t tid, struct user_regs_struct *ret_gp);
int arch_set_gp(pid_t tid, const struct user_regs_struct *gp);
/* The extended state (FPU, vector registers) in the standard layout of PTRACE_GETREGSET. */
int arch_get_xstate(struct session *s, pid_t tid, struct arch_regs *regs);
int arch_set_xstate(pid_t tid, const struct arch_regs *regs);

static inline uint64_t arch_ip(const struct user_regs_struct *gp)
{
	return gp->rip;
}
static inline uint64_t arch_sp(const struct user_regs_struct *gp)
{
	return gp->rsp;
}
static inline int64_t arch_result(const struct user_regs_struct *gp)
{
	return (int64_t)gp->rax;
}

/* Registers that make the task issue one system call at an address of a system call instruction. */
void arch_regs_call(struct user_regs_struct *gp, uint64_t ip, uint64_t nr, const uint64_t arg[6]);
/* Registers that enter the agent with a channel and a stack. */
void arch_regs_enter(struct user_regs_struct *gp, uint64_t entry, uint64_t channel, uint64_t stack);

/*
 * Registers with which a task stopped inside a system call goes on: an interrupted call is made
 * again (see x86_64/restart.c).
 */
void arch_fix_restart(pid_t tid, struct user_regs_struct *gp);

/*
 * The reverse, for a stopped thread whose memory is in place: gp of an image that stand in front of
 * a call that waits become those of its way out, so that the kernel makes the call again, or, if a
 * handler runs before, lets it end.
 */
void arch_resume_call(pid_t tid, struct user_regs_struct *gp);

/*
 * For a thread that was stopped by nothing but PTRACE_INTERRUPT: calls that say EINTR after any
 * stop do so only if a handler runs. Changes gp and, if need be, the thread's registers.
 */
int arch_forget_interruption(pid_t tid, struct user_regs_struct *gp);

/* --- code put into a task (x86_64/stub.c, x86_64/sigframe.c) --- */

/* Offset of a system call instruction in code, or -1. */
ssize_t arch_find_syscall(const uint8_t *code, size_t len);

/*
 * The stub: code that makes a call, sets the signal mask back and goes on with gp as if nothing
 * had happened; whoever points a task at it may die at any time.  Relocatable.
 */
size_t arch_stub_size(void);
/* Length of the leading part that is the same in every stub. */
size_t arch_stub_code_size(void);
/* Writes arch_stub_size() bytes. */
void arch_stub_build(uint8_t *buf, const struct user_regs_struct *gp, uint64_t sigmask);
/*
 * Registers that enter the stub at address stub:
 * map: make len bytes of shared memory, readable and executable, and (unless the tracer takes over
 * at the exit of that call) unmap them again;
 * unmap: munmap(region, len); with len 0 nothing is unmapped.
 */
void arch_regs_stub_map(struct user_regs_struct *gp, uint64_t stub, uint64_t len);
/*
 * call: any other; if the tracer is gone at its exit, munmap(result, second argument) is tried,
 * which must do no harm.
 */
void arch_regs_stub_call(
	struct user_regs_struct *gp, uint64_t stub, uint64_t nr, const uint64_t arg[6]);
void arch_regs_stub_unmap(
	struct user_regs_struct *gp, uint64_t stub, uint64_t region, uint64_t len);

/*
 * The exit: a smaller stub that clears one 32-bit word, then sets the signal mask back and goes on
 * with gp. It uses nothing but itself once the word is 0.  Relocatable.
 */
size_t arch_exit_size(void);
/* sigmask NULL: the mask is set already, and no call may be made. */
void arch_exit_build(uint8_t *buf, const struct user_regs_struct *gp, const uint64_t *sigmask);
/* Registers that enter the exit at address exit. */
void arch_regs_exit(struct user_regs_struct *gp, uint64_t exit, uint64_t word);

/*
 * A struct rt_sigframe for address addr (64-byte aligned) that sets the registers gp, the extended
 * state and a signal mask. Returns its length, -ENOSPC when room is too small.
 */
ssize_t arch_sigframe_build(uint8_t *buf, size_t room, uint64_t addr, const struct arch_regs *regs,
	const struct user_regs_struct *gp, uint64_t sigmask);
/* Offset in such a frame of the 64-bit len that arch_regs_stub_unmap() put into gp. */
size_t arch_sigframe_unmap_len(void);

/* --- core image (x86_64/core.c) --- */

/*
 * Fills core->thread_info, which points into regs->xstate; live registers are fixed up by the
 * caller first.
 */
int arch_core_store(struct session *s, CoreEntry *core, pid_t tid, const struct arch_regs *regs);
/*
 * The reverse: what PTRACE_SETREGS, after arch_resume_call(), and PTRACE_SETREGSET shall set.
 * -EOPNOTSUPP for foreign images.
 */
int arch_core_load(struct session *s, const CoreEntry *core, struct arch_regs *ret_regs);
uint32_t arch_core_mtype(void);
void arch_core_set_tid_address(CoreEntry *core, uint64_t clear_tid_addr);
uint64_t arch_core_tid_address(const CoreEntry *core);

/* --- a process that only waits (task/landlock.c): code that calls pause() for ever --- */

enum { ARCH_ELF_MACHINE = 62 /* EM_X86_64 */, ARCH_IDLE_CODE_MAX = 16 };
void arch_idle_code(uint8_t buf[ARCH_IDLE_CODE_MAX]);

/* --- the processor (x86_64/cpuinfo.c) --- */

/* What cpuinfo.img says of this one; in the arena. */
CpuinfoEntry *arch_cpuinfo(struct session *s);
/*
 * Whether programs of that one can go on here: caps are of CPU_CAP_*. -ENOTSUP with what is missing
 * named.
 */
int arch_cpuinfo_check(struct session *s, const CpuinfoEntry *image, uint32_t caps);

#endif
