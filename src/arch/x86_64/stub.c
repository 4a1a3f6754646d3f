/*
 * The stub: a few calls and the way back, in code that a task can be pointed at and left alone.
 *
 *	map:	syscall				the mmap() of the registers; the tracer stops here
 *		mov %rax, %rdi			and takes over.  If it is gone, the mapping goes too
 *		jmp unmap
 *	leave:	mov $1, %ecx
 *		xchg %ecx, (%rdi)		the token: the last to leave finds 1
 *		jrcxz back
 *		mov %r9, %rdi			the agent's region and its length in rsi
 *	unmap:	mov $11, %eax
 *		syscall				munmap(rdi, rsi)
 *	back:	rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8)
 *		mov data(%rip), %rax ...	what system calls clobber or carry
 *		jmp *ip(%rip)
 *
 * Everything else (rbx, rbp, rsp, r12-r15, segments, the extended state) passes through system
 * calls unharmed, and none of these instructions changes flags (hence xchg and jrcxz).  The stack
 * is the task's own and stays untouched, so a signal may hit anywhere.
 */
#include "arch/arch.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum {
	N_SLOTS = 9,
	CODE_LEN = 136,
};

/* The registers that a system call takes or clobbers, as encoded in `mov disp(%rip), reg`. */
static const struct slot {
	uint8_t rex, modrm;
} slots[N_SLOTS] = {
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

struct stub {
	uint8_t code[CODE_LEN];
	uint64_t saved[N_SLOTS];
	uint64_t ip;
	uint64_t sigmask;
};

/* map, up to the token; rsi still holds the length for munmap(). */
static const uint8_t map_code[] = {
	0x0f, 0x05,       /* map: syscall */
	0x48, 0x89, 0xc7, /* mov %rax, %rdi */
	0xeb, 0x0c,       /* jmp unmap */
};
static const uint8_t leave_code[] = {
	0xb9, 1, 0, 0, 0, /* leave: mov $1, %ecx */
	0x87, 0x0f,       /* xchg %ecx, (%rdi) */
	0xe3, 0x0a,       /* jrcxz back */
	0x4c, 0x89, 0xcf, /* mov %r9, %rdi */
};
static const uint8_t unmap_code[] = {
	0xb8, SYS_munmap, 0, 0, 0, /* unmap: mov $11, %eax */
	0x0f, 0x05,                /* syscall */
};

enum {
	MAP_AT = 0,
	LEAVE_AT = sizeof(map_code),
	UNMAP_AT = LEAVE_AT + sizeof(leave_code),
	BACK_AT = UNMAP_AT + sizeof(unmap_code),
};

_Static_assert(UNMAP_AT - LEAVE_AT == 0x0c, "the jump of map_code");
_Static_assert(BACK_AT - (LEAVE_AT + 9) == 0x0a, "the jump of leave_code");

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static uint8_t *put_rip_relative(uint8_t *at, const uint8_t *opcode, size_t opcode_len,
	const void *target)
{
	at = put(at, opcode, opcode_len);
	int32_t disp = (int32_t)((const uint8_t *)target - (at + 4));
	return put(at, &disp, sizeof(disp));
}

static uint8_t *put_set_mask(uint8_t *at, const struct stub *stub)
{
	static const uint8_t number[] = {0xb8, SYS_rt_sigprocmask, 0, 0, 0}; /* mov $14, %eax */
	static const uint8_t how[] = {0xbf, 2, 0, 0, 0};        /* mov $SIG_SETMASK, %edi */
	static const uint8_t set[] = {0x48, 0x8d, 0x35};        /* lea mask(%rip), %rsi */
	static const uint8_t old[] = {0xba, 0, 0, 0, 0};        /* mov $0, %edx */
	static const uint8_t size[] = {0x41, 0xba, 8, 0, 0, 0}; /* mov $8, %r10d */
	static const uint8_t syscall_insn[] = {0x0f, 0x05};
	at = put(at, number, sizeof(number));
	at = put(at, how, sizeof(how));
	at = put_rip_relative(at, set, sizeof(set), &stub->sigmask);
	at = put(at, old, sizeof(old));
	at = put(at, size, sizeof(size));
	return put(at, syscall_insn, sizeof(syscall_insn));
}

size_t arch_stub_size(void)
{
	return sizeof(struct stub);
}

size_t arch_stub_code_size(void)
{
	return BACK_AT; /* the part that is the same for every task */
}

void arch_stub_build(uint8_t *buf, const struct user_regs_struct *gp, uint64_t sigmask)
{
	static const uint8_t jmp[] = {0xff, 0x25};
	struct stub stub = {
		.saved = {gp->rax, gp->rcx, gp->rdx, gp->rsi, gp->rdi, gp->r8, gp->r9, gp->r10,
			gp->r11},
		.ip = gp->rip,
		.sigmask = sigmask,
	};
	memset(stub.code, 0xcc, sizeof(stub.code));
	uint8_t *at = put(stub.code, map_code, sizeof(map_code));
	at = put(at, leave_code, sizeof(leave_code));
	at = put(at, unmap_code, sizeof(unmap_code));
	at = put_set_mask(at, &stub);
	for (int i = 0; i < N_SLOTS; i++) {
		const uint8_t mov[] = {slots[i].rex, 0x8b, slots[i].modrm};
		at = put_rip_relative(at, mov, sizeof(mov), &stub.saved[i]);
	}
	put_rip_relative(at, jmp, sizeof(jmp), &stub.ip);
	memcpy(buf, &stub, sizeof(stub));
}

void arch_regs_stub_map(struct user_regs_struct *gp, uint64_t stub, uint64_t len)
{
	const uint64_t arg[6] = {0, len, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS,
		UINT64_MAX, 0};
	arch_regs_call(gp, stub + MAP_AT, SYS_mmap, arg);
}

void arch_regs_stub_unmap(struct user_regs_struct *gp, uint64_t stub, uint64_t region, uint64_t len)
{
	const uint64_t arg[6] = {region, len};
	arch_regs_call(gp, stub + UNMAP_AT, SYS_munmap, arg);
}

void arch_regs_stub_leave(struct user_regs_struct *gp, uint64_t stub, uint64_t token,
	uint64_t region, uint64_t len)
{
	const uint64_t arg[6] = {token, len, 0, 0, 0, region};
	arch_regs_call(gp, stub + LEAVE_AT, SYS_munmap, arg);
}

ssize_t arch_find_syscall(const uint8_t *code, size_t len)
{
	static const uint8_t syscall_insn[] = {0x0f, 0x05};
	const uint8_t *hit = memmem(code, len, syscall_insn, sizeof(syscall_insn));
	return hit ? hit - code : -1;
}
