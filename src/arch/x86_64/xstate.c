/* The processor's own description of its extended state; see xstate.h. */
#include "arch/x86_64/xstate.h"

#include <cpuid.h>

enum { LEAF_XSTATE = 0xd };

static uint64_t read_xcr0(void)
{
	uint32_t a, b, c, d;
	if (__get_cpuid_max(0, NULL) < LEAF_XSTATE)
		return 0;
	__cpuid(1, a, b, c, d);
	if (!(c & bit_OSXSAVE))
		return 0;
	uint32_t low, high;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low | (uint64_t)high << 32;
}

/* Each CPUID is a trip to the hypervisor, of some microseconds: no __get_cpuid(), which makes two. */
const struct xstate_layout *xstate_layout(struct session *s)
{
	if (s->cpu)
		return s->cpu;
	struct xstate_layout *l = arena_new(&s->arena, struct xstate_layout);
	uint32_t a, b, c, d;
	l->enabled = read_xcr0();
	l->len = XSTATE_LEGACY_LEN + XSTATE_HEADER_LEN;
	for (uint32_t i = XSTATE_YMM; i < N_XSTATE; i++) {
		if (!(l->enabled & 1ull << i))
			continue;
		__cpuid_count(LEAF_XSTATE, i, a, b, c, d);
		l->area[i] = (struct xstate_area){.offset = b, .len = a};
		l->len = b + a > l->len ? b + a : l->len;
	}
	s->cpu = l;
	return l;
}
