/*
 * All general registers, the direction flag and the base of GS, held in a user-mode loop without system calls.
 * PROVES: F004 F427
 */
#include "check.h"
#include <asm/prctl.h>

#define CTL	 0x10000000UL
#define VALUE(n) (0x1122334455667700UL + (n)*0x0101010101010103UL)

uint64_t gpr_want[15], gpr_got[15], gpr_flags;
void gpr_hold(void);

/* The control page has an absolute 32-bit address, so that no register must point at it. */
__asm__(".text\n"
	".globl gpr_hold\n"
	".macro each op\n"
	"	\\op 0, %rax\n \\op 8, %rbx\n \\op 16, %rcx\n \\op 24, %rdx\n \\op 32, %rsi\n"
	"	\\op 40, %rdi\n \\op 48, %rbp\n \\op 56, %r8\n \\op 64, %r9\n \\op 72, %r10\n"
	"	\\op 80, %r11\n \\op 88, %r12\n \\op 96, %r13\n \\op 104, %r14\n \\op 112, %r15\n"
	".endm\n"
	".macro load at, reg\n	mov gpr_want+\\at(%rip), \\reg\n.endm\n"
	".macro save at, reg\n	mov \\reg, gpr_got+\\at(%rip)\n.endm\n"
	"gpr_hold:\n"
	"	push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"	each load\n"
	"	std\n"
	"	movb $1, 0x10000040\n"
	"1:	pause\n"
	"	cmpb $0, 0x10000000\n"
	"	je 1b\n"
	"	each save\n"
	"	pushf\n"
	"	pop %rax\n"
	"	mov %rax, gpr_flags(%rip)\n"
	"	cld\n"
	"	pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
	"	ret\n");

int main(int argc, char **argv)
{
	setup(argc, argv);
	int fd = open(in_dir("ctl"), O_RDWR | O_CLOEXEC);
	NEED(mmap((void *)CTL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
		     0) == (void *)CTL);
	close(fd);
	for (int i = 0; i < 15; i++)
		gpr_want[i] = VALUE(i);
	unsigned long gs = 0;
	NEED(!syscall(SYS_arch_prctl, ARCH_SET_GS, 0x123456789000UL)); /* nothing else uses it */
	gpr_hold();
	NEED(!syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) && gs == 0x123456789000UL);
	for (int i = 0; i < 15; i++)
		if (gpr_got[i] != VALUE(i))
			bad("register %d is %#lx, not %#lx", i, gpr_got[i], VALUE(i));
	NEED(gpr_flags & 0x400);
	ok();
}
