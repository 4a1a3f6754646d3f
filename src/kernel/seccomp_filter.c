/* The instructions are those that seccomp_check_filter() of the kernel's kernel/seccomp.c knows. */
#include "kernel/seccomp_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

struct machine {
	uint32_t a, x, memory[BPF_MEMWORDS];
	uint32_t nr;
};

/* False: the word is not the same in all calls of that number. */
static bool load(struct machine *m, uint32_t offset)
{
	if (offset == offsetof(struct seccomp_data, nr))
		m->a = m->nr;
	else if (offset == offsetof(struct seccomp_data, arch))
		m->a = AUDIT_ARCH_X86_64;
	else
		return false;
	return true;
}

static bool calculate(struct machine *m, const struct sock_filter *i)
{
	uint32_t operand = BPF_SRC(i->code) == BPF_X ? m->x : i->k;
	switch (BPF_OP(i->code)) {
	case BPF_ADD:
		m->a += operand;
		return true;
	case BPF_SUB:
		m->a -= operand;
		return true;
	case BPF_MUL:
		m->a *= operand;
		return true;
	case BPF_DIV:
		if (operand)
			m->a /= operand;
		return operand;
	case BPF_AND:
		m->a &= operand;
		return true;
	case BPF_OR:
		m->a |= operand;
		return true;
	case BPF_XOR:
		m->a ^= operand;
		return true;
	case BPF_LSH:
		m->a <<= operand & 31;
		return true;
	case BPF_RSH:
		m->a >>= operand & 31;
		return true;
	case BPF_NEG:
		m->a = -m->a;
		return true;
	default:
		return false;
	}
}

static uint32_t jump(const struct machine *m, const struct sock_filter *i)
{
	uint32_t operand = BPF_SRC(i->code) == BPF_X ? m->x : i->k;
	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return i->k;
	case BPF_JEQ:
		return m->a == operand ? i->jt : i->jf;
	case BPF_JGT:
		return m->a > operand ? i->jt : i->jf;
	case BPF_JGE:
		return m->a >= operand ? i->jt : i->jf;
	default: /* BPF_JSET */
		return m->a & operand ? i->jt : i->jf;
	}
}

/* All but jumps and returns. False: it depends on more than the number. */
static bool step(struct machine *m, const struct sock_filter *i)
{
	uint32_t *cell = &m->memory[i->k % BPF_MEMWORDS];
	switch (BPF_CLASS(i->code)) {
	case BPF_ALU:
		return calculate(m, i);
	case BPF_MISC:
		if (BPF_MISCOP(i->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
		return true;
	case BPF_ST:
		*cell = m->a;
		return true;
	case BPF_STX:
		*cell = m->x;
		return true;
	case BPF_LD:
		if (BPF_MODE(i->code) == BPF_ABS)
			return load(m, i->k);
		break;
	default:
		break;
	}
	uint32_t *into = BPF_CLASS(i->code) == BPF_LD ? &m->a : &m->x;
	switch (BPF_MODE(i->code)) {
	case BPF_IMM:
		*into = i->k;
		return true;
	case BPF_MEM:
		*into = *cell;
		return true;
	case BPF_LEN:
		*into = sizeof(struct seccomp_data);
		return true;
	default:
		return false;
	}
}

bool seccomp_filter_passes(const struct sock_filter *code, size_t n, uint32_t nr)
{
	struct machine m = {.nr = nr};
	for (size_t at = 0; at < n; at++) {
		const struct sock_filter *i = &code[at];
		if (BPF_CLASS(i->code) == BPF_RET) {
			uint32_t result = BPF_RVAL(i->code) == BPF_A ? m.a : i->k;
			return (result & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ALLOW;
		}
		if (BPF_CLASS(i->code) == BPF_JMP)
			at += jump(&m, i);
		else if (!step(&m, i))
			return false;
	}
	return false;
}
