/* Where the parts of the extended state lie in the standard layout: CPUID leaf 0xd. */
#ifndef FERMATA_ARCH_X86_64_XSTATE_H
#define FERMATA_ARCH_X86_64_XSTATE_H

#include <cpuid.h>
#include <stdint.h>

enum xstate_feature {
	XSTATE_FP = 0,
	XSTATE_SSE = 1,
	XSTATE_YMM = 2,
	XSTATE_BNDREGS = 3,
	XSTATE_BNDCSR = 4,
	XSTATE_OPMASK = 5,
	XSTATE_ZMM_HI256 = 6,
	XSTATE_HI16_ZMM = 7,
	XSTATE_PKRU = 9,
	XSTATE_TILECFG = 17,
	XSTATE_TILEDATA = 18,
};

enum {
	XSTATE_LEGACY_LEN = 512,
	XSTATE_HEADER_LEN = 64,
};

struct xstate_area {
	uint32_t offset, len; /* len 0: this processor lacks it */
};

static inline struct xstate_area xstate_area(enum xstate_feature feature)
{
	uint32_t a, b, c, d;
	if (!__get_cpuid_count(0xd, (uint32_t)feature, &a, &b, &c, &d))
		return (struct xstate_area){0};
	return (struct xstate_area){.offset = b, .len = a};
}

/* XCR0: the features that the kernel enabled; 0 without OSXSAVE. */
static inline uint64_t xstate_enabled(void)
{
	uint32_t a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return 0;
	uint32_t low, high;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low | (uint64_t)high << 32;
}

#endif
