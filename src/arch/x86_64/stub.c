/*
 * Code that a task can be pointed at and left alone: a call and the way back to its own life.
 *
 * The stub, for the leader:
 *	map:	syscall				the mmap() of the registers; the tracer stops here
 *		mov %rax, %rdi			and takes over.  If it is gone, the mapping goes too
 *	unmap:	mov $11, %eax
 *		syscall				munmap(rdi, rsi)
 *		mov $14, %eax ...
 *	back:	syscall				rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8)
 *		mov saved(%rip), %rax ...	what system calls clobber or carry
 *		jmp *ip(%rip)
 * The exit, for every other thread, enters with rt_sigprocmask() in its registers:
 *	exit:	mov %edx, (%r8)			signed out: from here on nothing but this is used
 *	back:	as above
 *
 * Everything else (rbx, rbp, rsp, r12-r15, segments, the extended state) passes through system
 * calls unharmed, and none of these instructions changes flags.  The stack is the task's own and
 * stays untouched, so a signal may hit anywhere.
 */
#include "arch/arch.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum {
	N_SLOTS = 9,
	SLOT_LEN = 7,
	JMP_LEN = 6,
	SYSCALL_LEN = 2,
	BACK_LEN = SYSCALL_LEN + N_SLOTS * SLOT_LEN + JMP_LEN,
	SIG_SETMASK_NR = 2,
	SIGMASK_LEN = 8,
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

static const uint8_t syscall_insn[SYSCALL_LEN] = {0x0f, 0x05};

/* What `back` loads. */
struct way_back {
	uint64_t saved[N_SLOTS];
	uint64_t ip;
	uint64_t sigmask;
};

static const uint8_t map_code[] = {
	0x0f, 0x05,       /* map: syscall */
	0x48, 0x89, 0xc7, /* mov %rax, %rdi */
};
static const uint8_t unmap_code[] = {
	0xb8, SYS_munmap, 0, 0, 0, /* unmap: mov $11, %eax */
	0x0f, 0x05,                /* syscall */
};
static const uint8_t mask_code[] = {
	0xb8, SYS_rt_sigprocmask, 0, 0, 0, /* mov $14, %eax */
	0xbf, SIG_SETMASK_NR, 0, 0, 0,     /* mov $SIG_SETMASK, %edi */
	0xba, 0, 0, 0, 0,                  /* mov $0, %edx */
	0x41, 0xba, SIGMASK_LEN, 0, 0, 0,  /* mov $8, %r10d */
	0x48, 0x8d, 0x35,                  /* lea mask(%rip), %rsi, with 4 bytes to come */
};
static const uint8_t exit_code[] = {
	0x41, 0x89, 0x10, /* exit: mov %edx, (%r8) */
};

enum {
	MAP_AT = 0,
	UNMAP_AT = MAP_AT + sizeof(map_code),
	MASK_AT = UNMAP_AT + sizeof(unmap_code),
	STUB_LEN = MASK_AT + sizeof(mask_code) + 4 + BACK_LEN,
	EXIT_LEN = sizeof(exit_code) + BACK_LEN,
};

struct stub {
	_Alignas(8) uint8_t code[STUB_LEN];
	struct way_back data;
};

struct exit_stub {
	_Alignas(8) uint8_t code[EXIT_LEN];
	struct way_back data;
};

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

/* The distance from the end of the instruction, which these 4 bytes close. */
static uint8_t *put_distance(uint8_t *at, const void *target)
{
	int32_t disp = (int32_t)((const uint8_t *)target - (at + 4));
	return put(at, &disp, sizeof(disp));
}

static void put_back(uint8_t *at, const struct way_back *data)
{
	static const uint8_t jmp[] = {0xff, 0x25};
	at = put(at, syscall_insn, sizeof(syscall_insn));
	for (int i = 0; i < N_SLOTS; i++) {
		const uint8_t mov[] = {slots[i].rex, 0x8b, slots[i].modrm};
		at = put_distance(put(at, mov, sizeof(mov)), &data->saved[i]);
	}
	put_distance(put(at, jmp, sizeof(jmp)), &data->ip);
}

static struct way_back way_back(const struct user_regs_struct *gp, uint64_t sigmask)
{
	return (struct way_back){
		.saved = {gp->rax, gp->rcx, gp->rdx, gp->rsi, gp->rdi, gp->r8, gp->r9, gp->r10,
			gp->r11},
		.ip = gp->rip,
		.sigmask = sigmask,
	};
}

size_t arch_stub_size(void)
{
	return sizeof(struct stub);
}

size_t arch_stub_code_size(void)
{
	return STUB_LEN;
}

void arch_stub_build(uint8_t *buf, const struct user_regs_struct *gp, uint64_t sigmask)
{
	struct stub stub = {.data = way_back(gp, sigmask)};
	uint8_t *at = put(stub.code, map_code, sizeof(map_code));
	at = put(at, unmap_code, sizeof(unmap_code));
	at = put(at, mask_code, sizeof(mask_code));
	at = put_distance(at, &stub.data.sigmask);
	put_back(at, &stub.data);
	memcpy(buf, &stub, sizeof(stub));
}

void arch_regs_stub_map(struct user_regs_struct *gp, uint64_t stub, uint64_t len)
{
	const uint64_t arg[6] = {0, len, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS,
		UINT64_MAX, 0};
	arch_regs_call(gp, stub + MAP_AT, SYS_mmap, arg);
}

void arch_regs_stub_call(
	struct user_regs_struct *gp, uint64_t stub, uint64_t nr, const uint64_t arg[6])
{
	arch_regs_call(gp, stub + MAP_AT, nr, arg);
}

void arch_regs_stub_unmap(struct user_regs_struct *gp, uint64_t stub, uint64_t region, uint64_t len)
{
	const uint64_t arg[6] = {region, len};
	arch_regs_call(gp, stub + UNMAP_AT, SYS_munmap, arg);
}

size_t arch_exit_size(void)
{
	return sizeof(struct exit_stub);
}

void arch_exit_build(uint8_t *buf, const struct user_regs_struct *gp, const uint64_t *sigmask)
{
	static const uint8_t no_call[SYSCALL_LEN] = {0x66, 0x90}; /* nop */
	struct exit_stub stub = {.data = way_back(gp, sigmask ? *sigmask : 0)};
	uint8_t *back = put(stub.code, exit_code, sizeof(exit_code));
	put_back(back, &stub.data);
	if (!sigmask)
		put(back, no_call, sizeof(no_call));
	memcpy(buf, &stub, sizeof(stub));
}

void arch_regs_exit(struct user_regs_struct *gp, uint64_t exit, uint64_t word)
{
	const uint64_t mask = exit + offsetof(struct exit_stub, data.sigmask);
	const uint64_t arg[6] = {SIG_SETMASK_NR, mask, 0, SIGMASK_LEN, word, gp->r9};
	arch_regs_call(gp, exit, SYS_rt_sigprocmask, arg);
}

void arch_idle_code(uint8_t buf[ARCH_IDLE_CODE_MAX])
{
	static const uint8_t idle[ARCH_IDLE_CODE_MAX] = {
		0xb8, SYS_pause, 0, 0, 0, /* mov $SYS_pause, %eax */
		0x0f, 0x05,		  /* syscall */
		0xeb, 0xf7,		  /* jmp to the first */
	};
	memcpy(buf, idle, sizeof(idle));
}

ssize_t arch_find_syscall(const uint8_t *code, size_t len)
{
	const uint8_t *hit = memmem(code, len, syscall_insn, sizeof(syscall_insn));
	return hit ? hit - code : -1;
}
