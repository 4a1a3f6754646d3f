/*
 * A signal frame that rt_sigreturn accepts: arch/x86/kernel/signal_64.c, restore_sigcontext(),
 * and fpu/signal.c for the extended state with its software-reserved words.
 */
#include "arch/arch.h"

#include <asm/sigcontext.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

enum {
	UC_FP_XSTATE = 1,
	UC_SIGCONTEXT_SS = 2,
	UC_STRICT_RESTORE_SS = 4,
	SS_INVALID = 4, /* refused, and the alternate stack stays what it is */
	XSTATE_ALIGN = 64,
	XSTATE_HEADER = 512, /* xstate_bv comes first in the header behind the legacy area */
};

/* struct rt_sigframe of the kernel; glibc's <signal.h> cannot stand beside <asm/sigcontext.h>. */
struct frame {
	uint64_t pretcode;
	uint64_t uc_flags;
	uint64_t uc_link;
	uint64_t ss_sp;
	int32_t ss_flags;
	uint64_t ss_size;
	struct sigcontext_64 mcontext;
	uint64_t uc_sigmask;
	uint8_t info[128];
};

static void fill_context(struct sigcontext_64 *c, const struct user_regs_struct *gp)
{
	c->r8 = gp->r8;
	c->r9 = gp->r9;
	c->r10 = gp->r10;
	c->r11 = gp->r11;
	c->r12 = gp->r12;
	c->r13 = gp->r13;
	c->r14 = gp->r14;
	c->r15 = gp->r15;
	c->di = gp->rdi;
	c->si = gp->rsi;
	c->bp = gp->rbp;
	c->bx = gp->rbx;
	c->dx = gp->rdx;
	c->ax = gp->rax;
	c->cx = gp->rcx;
	c->sp = gp->rsp;
	c->ip = gp->rip;
	c->flags = gp->eflags;
	c->cs = (uint16_t)gp->cs;
	c->ss = (uint16_t)gp->ss;
}

/* The words at the end of the legacy area by which sigreturn knows that xsave data follows. */
static void mark_xstate(uint8_t *xstate, size_t len)
{
	struct _fpx_sw_bytes *sw = (void *)(xstate + offsetof(struct _fpstate_64, sw_reserved));
	memset(sw, 0, sizeof(*sw));
	sw->magic1 = FP_XSTATE_MAGIC1;
	sw->extended_size = (uint32_t)(len + FP_XSTATE_MAGIC2_SIZE);
	memcpy(&sw->xfeatures, xstate + XSTATE_HEADER, sizeof(sw->xfeatures));
	sw->xfeatures |= 3;
	sw->xstate_size = (uint32_t)len;
	uint32_t magic2 = FP_XSTATE_MAGIC2;
	memcpy(xstate + len, &magic2, sizeof(magic2));
}

ssize_t arch_sigframe_build(uint8_t *buf, size_t room, uint64_t addr, const struct arch_regs *regs,
	const struct user_regs_struct *gp, uint64_t sigmask)
{
	size_t xstate_at = (sizeof(struct frame) + XSTATE_ALIGN - 1) & ~(size_t)(XSTATE_ALIGN - 1);
	size_t len = xstate_at + regs->xstate_len + FP_XSTATE_MAGIC2_SIZE;
	if (len > room || addr % XSTATE_ALIGN)
		return -ENOSPC;
	struct frame frame = {
		.uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
		.ss_flags = SS_INVALID,
		.uc_sigmask = sigmask,
	};
	fill_context(&frame.mcontext, gp);
	frame.mcontext.fpstate = addr + xstate_at;
	memcpy(buf, &frame, sizeof(frame));
	memcpy(buf + xstate_at, regs->xstate, regs->xstate_len);
	mark_xstate(buf + xstate_at, regs->xstate_len);
	return (ssize_t)len;
}

size_t arch_sigframe_unmap_len(void)
{
	return offsetof(struct frame, mcontext.si);
}
