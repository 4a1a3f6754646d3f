/*
 * The stub: a call and the way back, in code.
 *
 *	syscall                       the call that the registers ask for
 *	mov $14, %eax ... syscall     rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8)
 *	mov data(%rip), %rax ...      what system calls clobber or carry
 *	jmp *ip(%rip)
 *
 * Everything else (rbx, rbp, rsp, r12-r15, segments, the extended state) passes through a system
 * call unharmed, and none of these instructions changes flags. The stack is the task's own and
 * stays untouched, so a signal may hit anywhere. A tracer may therefore die at any moment after
 * it pointed the task here.
 */
#include "arch/arch.h"

#include <string.h>
#include <sys/syscall.h>

enum { N_SLOTS = 9 };

/* The registers that a system call takes or clobbers, with the encoding of `mov disp(%rip), reg`. */
struct slot {
	uint8_t rex, modrm;
};

static const struct slot slots[N_SLOTS] = {
	{0x48, 0x05}, /* rax */
	{0x48, 0x0d}, /* rcx */
	{0x48, 0x15}, /* rdx */
	{0x48, 0x35}, /* rsi */
	{0x48, 0x3d}, /* rdi */
	{0x4c, 0x05}, /* r8 */
	{0x4c, 0x0d}, /* r9 */
	{0x4c, 0x15}, /* r10 */
	{0x4c, 0x1d}, /* r11 */
};

/* Code: 2 + set_mask (33) + 9 * 7 + 6 = 104 bytes; data: 9 registers, ip, mask. */
struct stub {
	uint8_t code[104];
	uint64_t saved[N_SLOTS];
	uint64_t ip;
	uint64_t sigmask;
};

static const uint8_t syscall_insn[] = {0x0f, 0x05};

static uint8_t *put_rip_relative(uint8_t *at, const struct stub *stub, const uint8_t *opcode,
	size_t opcode_len, const void *target)
{
	memcpy(at, opcode, opcode_len);
	const uint8_t *next = at + opcode_len + 4;
	int32_t disp = (int32_t)((const uint8_t *)target - next);
	memcpy(at + opcode_len, &disp, sizeof(disp));
	(void)stub;
	return at + opcode_len + 4;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static uint8_t *put_set_mask(uint8_t *at, const struct stub *stub)
{
	static const uint8_t number[] = {0xb8, SYS_rt_sigprocmask, 0, 0, 0}; /* mov $14, %eax */
	static const uint8_t how[] = {0xbf, 2, 0, 0, 0};           /* mov $SIG_SETMASK, %edi */
	static const uint8_t set[] = {0x48, 0x8d, 0x35};           /* lea mask(%rip), %rsi */
	static const uint8_t old[] = {0xba, 0, 0, 0, 0};           /* mov $0, %edx */
	static const uint8_t size[] = {0x41, 0xba, 8, 0, 0, 0};    /* mov $8, %r10d */
	at = put(at, number, sizeof(number));
	at = put(at, how, sizeof(how));
	at = put_rip_relative(at, stub, set, sizeof(set), &stub->sigmask);
	at = put(at, old, sizeof(old));
	at = put(at, size, sizeof(size));
	return put(at, syscall_insn, sizeof(syscall_insn));
}

size_t arch_stub_size(void)
{
	return sizeof(struct stub);
}

size_t arch_stub_build(uint8_t *buf, uint64_t addr, const struct user_regs_struct *gp,
	uint64_t sigmask)
{
	static const uint8_t jmp[] = {0xff, 0x25};
	struct stub stub = {
		.saved = {gp->rax, gp->rcx, gp->rdx, gp->rsi, gp->rdi, gp->r8, gp->r9, gp->r10,
			gp->r11},
		.ip = gp->rip,
		.sigmask = sigmask,
	};
	(void)addr; /* all references are relative */
	memset(stub.code, 0xcc, sizeof(stub.code));
	uint8_t *at = put(stub.code, syscall_insn, sizeof(syscall_insn));
	at = put_set_mask(at, &stub);
	for (int i = 0; i < N_SLOTS; i++) {
		const uint8_t mov[] = {slots[i].rex, 0x8b, slots[i].modrm};
		at = put_rip_relative(at, &stub, mov, sizeof(mov), &stub.saved[i]);
	}
	put_rip_relative(at, &stub, jmp, sizeof(jmp), &stub.ip);
	memcpy(buf, &stub, sizeof(stub));
	return sizeof(stub);
}

ssize_t arch_find_syscall(const uint8_t *code, size_t len)
{
	const uint8_t *hit = memmem(code, len, syscall_insn, sizeof(syscall_insn));
	return hit ? hit - code : -1;
}
