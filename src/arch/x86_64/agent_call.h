/* x86_64 half of the agent: entry, system call, clone and the way out. */
#ifndef FERMATA_AGENT_CALL_X86_64_H
#define FERMATA_AGENT_CALL_X86_64_H

#include <stdint.h>

static inline int64_t agent_syscall(uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
	uint64_t a4, uint64_t a5)
{
	register uint64_t r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = a4;
	register uint64_t r9 __asm__("r9") = a5;
	int64_t result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/*
 * clone3 with a new stack: the child has nothing of this function's frame, so it goes straight to
 * the agent's entry with its channel in rdi.  A child with the parent's stack (no CLONE_VM) does
 * the same; it never returns here.
 */
static inline int64_t agent_clone(uint64_t args, uint64_t size, uint64_t child_channel)
{
	register uint64_t channel __asm__("r8") = child_channel;
	int64_t result;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "mov %%r8, %%rdi\n\t"
			 "jmp agent_entry\n"
			 "1:"
			 : "=a"(result)
			 : "0"(435 /* clone3 */), "D"(args), "S"(size), "r"(channel)
			 : "rcx", "r11", "memory", "cc");
	return result;
}

/* Calls a function of others on a stack of its own; `stack` is its end. */
static inline int64_t agent_function(uint64_t function, uint64_t stack, const uint64_t arg[4])
{
	register uint64_t sp __asm__("r12") = stack & ~15ull;
	uint64_t a0 = arg[0], a1 = arg[1], a2 = arg[2], a3 = arg[3];
	int64_t result;
	__asm__ volatile("xchg %%rsp, %%r12\n\t"
			 "call *%%rax\n\t"
			 "mov %%r12, %%rsp"
			 : "=a"(result), "+r"(sp), "+D"(a0), "+S"(a1), "+d"(a2), "+c"(a3)
			 : "0"(function)
			 : "r8", "r9", "r10", "r11", "memory", "cc");
	return result;
}

/* frame points at a struct rt_sigframe; the kernel expects the return address popped. */
__attribute__((noreturn)) static inline void agent_leave(uint64_t frame)
{
	__asm__ volatile("lea 8(%0), %%rsp\n\t"
			 "mov $15, %%eax\n\t" /* rt_sigreturn */
			 "syscall" ::"r"(frame));
	__builtin_unreachable();
}

/*
 * rdi: the channel; rsp: its stack. The linker script puts this first.
 * The stack lies in the window that `unprotect` makes writable, so that comes before any push.
 */
__asm__(".pushsection .entry, \"ax\"\n"
	".globl agent_entry\n"
	".hidden agent_entry\n"
	"agent_entry:\n\t"
	"mov %rdi, %rbx\n\t"
	"mov 32(%rdi), %rsi\n\t" /* channel->unprotect */
	"test %rsi, %rsi\n\t"
	"jz 1f\n\t"
	"mov $3, %edx\n\t"  /* PROT_READ | PROT_WRITE */
	"mov $10, %eax\n\t" /* mprotect */
	"syscall\n\t"
	"mov %rbx, %rdi\n"
	"1:\t"
	"xor %ebp, %ebp\n\t"
	"and $-16, %rsp\n\t"
	"call agent_main\n\t"
	"ud2\n"
	".popsection");

#endif
