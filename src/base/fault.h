/*
 * Test switches from the environment: CRIU_FAULT=N (spec/cli.md 12), ours as the reference's.
 *
 * The environment is read each time: only rare paths ask.
 *
 * FERMATA_FAULT_STEP=N, of ours alone: the N-th step that is given to an agent is not made, and fails
 * with ENOSYS.  The log tells which that was.  tests/live/faults.py tries them all.
 */
#ifndef FERMATA_BASE_FAULT_H
#define FERMATA_BASE_FAULT_H

#include <stdbool.h>
#include <stdlib.h>

#include "base/session.h"

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

/* Counted in the session's arena: both lanes count. */
static inline void fault_read_step(struct session *s)
{
	const char *text = getenv("FERMATA_FAULT_STEP");
	if (!text)
		return;
	s->fault_step = arena_new(&s->arena, unsigned long);
	*s->fault_step = strtoul(text, NULL, 10);
}

static inline bool fault_at_this_step(struct session *s, const char *about, const char *what)
{
	if (!s->fault_step || __atomic_fetch_sub(s->fault_step, 1, __ATOMIC_RELAXED) != 1)
		return false;
	log_debug(s, "Fault injected: %s: %s", about, what);
	return true;
}

#endif
