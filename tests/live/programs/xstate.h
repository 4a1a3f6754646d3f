/*
 * Holding vector and FPU registers in user mode: hold(values, before, after, ctl, up, level)
 * loads every register of the level from values, stores the XSAVE image to before, adds one to
 * *up, spins until ctl->release and stores the XSAVE image again to after.
 */
#include "check.h"
#include <cpuid.h>

enum level { SSE, AVX, AVX512 };

struct xstate {
	uint8_t bytes[16384] __attribute__((aligned(64)));
};

void hold(const void *values, struct xstate *before, struct xstate *after, struct ctl *ctl,
	volatile uint8_t *up, long level);

__asm__(".text\n"
	".globl hold\n"
	"hold:\n"
	"	mov %rdx, %r10\n"
	"	sub $8, %rsp\n"
	"	stmxcsr (%rsp)\n"
	"	fninit\n"
	"	movl $0x077f, 4(%rsp)\n"
	"	fldcw 4(%rsp)\n"
	".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n"
	"	fildll \\n*8(%rdi)\n"
	".endr\n"
	"	movl $0xdfa1, 4(%rsp)\n"
	"	ldmxcsr 4(%rsp)\n"
	"	cmp $1, %r9\n"
	"	ja 3f\n"
	"	je 2f\n"
	".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	movups \\n*64(%rdi), %xmm\\n\n"
	".endr\n"
	"	jmp 4f\n"
	"2:\n"
	".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	vmovups \\n*64(%rdi), %ymm\\n\n"
	".endr\n"
	"	jmp 4f\n"
	"3:\n"
	".irp n, "
	"0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
	"	vmovups \\n*64(%rdi), %zmm\\n\n"
	".endr\n"
	".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n"
	"	kmovq 100+\\n*64(%rdi), %k\\n\n"
	".endr\n"
	"4:\n"
	"	mov $-1, %eax\n mov $-1, %edx\n"
	"	xsave64 (%rsi)\n"
	"	lock incb (%r8)\n"
	"5:	pause\n"
	"	cmpb $0, (%rcx)\n"
	"	je 5b\n"
	"	mov $-1, %eax\n mov $-1, %edx\n"
	"	xsave64 (%r10)\n"
	"	fninit\n"
	"	ldmxcsr (%rsp)\n"
	"	cmp $0, %r9\n"
	"	je 6f\n"
	"	vzeroupper\n"
	"6:	add $8, %rsp\n"
	"	ret\n");

static UNUSED bool have(enum level level)
{
	if (!__builtin_cpu_supports("avx"))
		return false;
	return level < AVX512 ||
	       (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"));
}

/* Load, wait for the release, compare. Bytes 512..575 are the XSAVE header: XSTATE_BV may say
 * "in use" of a component in its initial state, which is the same state. */
static UNUSED void hold_and_check(
	enum level level, uint64_t seed, struct ctl *ctl, volatile uint8_t *up)
{
	static const unsigned int header = 512, header_end = 576;
	struct xstate *x = aligned_alloc(64, 2 * sizeof(*x));
	uint8_t values[32 * 64 + 64];
	unsigned int size, ecx, edx, eax;

	NEED(x && __get_cpuid_count(0xd, 0, &eax, &size, &ecx, &edx));
	NEED(size > header_end && size <= sizeof(*x));
	memset(x, 0, 2 * sizeof(*x));
	fill(values, sizeof(values), seed);
	hold(values, &x[0], &x[1], ctl, up, level);
	for (unsigned int i = 0; i < size; i++)
		if ((i < header || i >= header_end) && x[0].bytes[i] != x[1].bytes[i])
			bad("byte %u of the XSAVE image is %#x, not %#x", i, x[1].bytes[i],
				x[0].bytes[i]);
	/* The comparison means something: the registers really were in there. */
	NEED(!memcmp(x[0].bytes + 160 + 15 * 16, values + 15 * 64, 16));
	free(x);
}
