/* Where the parts of the extended state lie in the standard layout: CPUID leaf 0xd. */
#ifndef FERMATA_ARCH_X86_64_XSTATE_H
#define FERMATA_ARCH_X86_64_XSTATE_H

#include <stdint.h>

#include "base/session.h"

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
	N_XSTATE = 32,
};

enum {
	XSTATE_LEGACY_LEN = 512,
	XSTATE_HEADER_LEN = 64,
};

struct xstate_area {
	uint32_t offset, len; /* len 0: this processor lacks it */
};

struct xstate_layout {
	uint64_t enabled; /* XCR0: the features that the kernel enabled; 0 without OSXSAVE */
	uint32_t len;     /* bytes of the standard layout for them */
	struct xstate_area area[N_XSTATE];
};

/* Asked once a run: CPUID is slow in virtual machines. */
const struct xstate_layout *xstate_layout(struct session *s);

#endif
