/*
 * A task dumped inside a restartable sequence is restarted at its abort handler: never does one
 * run of the section span the dump. The section spins and watches the time stamp counter: a jump
 * while it believes to be undisturbed means that nobody aborted it.
 * PROVES: F063
 */
#include "check.h"
#include <linux/rseq.h>
#include <sys/rseq.h>

#define LONGEST_NS 20000000UL /* a dump and a restore take longer, an interrupt does not */

struct section {
	volatile uint64_t aborts, worst;
	volatile uint8_t *stop;
};

void rseq_spin(struct rseq *area, struct section *s);

/* rdi area, rsi section; r8 the last time stamp, seen since entry only. */
__asm__(".text\n"
	".pushsection .data\n"
	".balign 32\n"
	"desc:	.long 0, 0\n"
	"	.quad 1f, 3f - 1f, 4f\n"
	".popsection\n"
	".globl rseq_spin\n"
	"rseq_spin:\n"
	"	rdtsc\n shl $32, %rdx\n or %rax, %rdx\n mov %rdx, %r8\n"
	"	lea desc(%rip), %rax\n"
	"	mov %rax, 8(%rdi)\n"
	"1:	mov 16(%rsi), %rcx\n"
	"	cmpb $0, (%rcx)\n"
	"	jne 3f\n"
	"	rdtsc\n shl $32, %rdx\n or %rax, %rdx\n mov %rdx, %r9\n"
	"	sub %r8, %rdx\n mov %r9, %r8\n"
	"	cmp 8(%rsi), %rdx\n"
	"	jbe 2f\n"
	"	mov %rdx, 8(%rsi)\n"
	"2:	jmp 1b\n"
	"3:	ret\n"
	"	.byte 0x0f, 0xb9, 0x3d\n"
	"	.long 0x53053053\n"
	"4:	incq (%rsi)\n"
	"	jmp rseq_spin\n");

static uint64_t ticks_per_ms(void)
{
	uint64_t start = __builtin_ia32_rdtsc();

	nap_ms(50);
	return (__builtin_ia32_rdtsc() - start) / 50;
}

int main(int argc, char **argv)
{
	struct section s = {0};

	setup(argc, argv);
	if (!__rseq_size)
		skip("this libc does not register rseq");
	struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	struct ctl *ctl = map_ctl();
	uint64_t per_ms = ticks_per_ms();

	s.stop = &ctl->release;
	ctl->armed = 1;
	rseq_spin(area, &s);
	if (s.worst > per_ms * (LONGEST_NS / 1000000))
		bad("a section stood still for %lu us and was not aborted (%lu aborts)",
			s.worst * 1000 / per_ms, s.aborts);
	NEED(syscall(SYS_rseq, area, 32, 0, RSEQ_SIG) == -1 && errno == EBUSY);
	ok();
}
