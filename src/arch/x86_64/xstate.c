/* The processor's own description of its extended state; see xstate.h. */
#include "arch/x86_64/xstate.h"

#include <cpuid.h>

static uint64_t read_xcr0(void)
{
	uint32_t a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return 0;
	uint32_t low, high;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low | (uint64_t)high << 32;
}

const struct xstate_layout *xstate_layout(struct session *s)
{
	if (s->cpu)
		return s->cpu;
	struct xstate_layout *l = arena_new(&s->arena, struct xstate_layout);
	uint32_t a, b, c, d;
	l->enabled = read_xcr0();
	l->len = XSTATE_LEGACY_LEN + XSTATE_HEADER_LEN;
	if (l->enabled && __get_cpuid_count(0xd, 0, &a, &b, &c, &d))
		l->len = b;
	for (uint32_t i = XSTATE_YMM; i < N_XSTATE; i++)
		if (l->enabled & 1ull << i && __get_cpuid_count(0xd, i, &a, &b, &c, &d))
			l->area[i] = (struct xstate_area){.offset = b, .len = a};
	s->cpu = l;
	return l;
}
