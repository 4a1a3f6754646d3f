/*
 * Test switches from the environment: CRIU_FAULT=N (spec/cli.md 12), ours as the reference's.
 *
 * The environment is read each time: only rare paths ask.
 */
#ifndef FERMATA_BASE_FAULT_H
#define FERMATA_BASE_FAULT_H

#include <stdbool.h>
#include <stdlib.h>

enum fault {
	FAULT_FORCE_VDSO_PROXY = 127, /* treat the image's vDSO as another kernel's */
	/* ours alone */
	FAULT_SEVERAL_NODES = 1001, /* look for NUMA policies of memory on any machine */
};

static inline bool fault_injected(enum fault fault)
{
	const char *text = getenv("CRIU_FAULT");
	return text && strtol(text, NULL, 10) == (long)fault;
}

#endif
