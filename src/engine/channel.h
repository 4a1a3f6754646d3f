/*
 * A channel: the window through which one task or thread plays programs.
 *
 * Layout, in the task as in the controller:
 *
 *	struct agent_channel | steps ... | (free) ... data | stack, growing down
 *
 * Stubs have the stack in front of it, and data no further from the steps than it must be, so that
 * a short program touches one page.
 *
 * A program larger than the window is played in several loads; each load carries whole steps
 * with the data they refer to.
 */
#ifndef FERMATA_ENGINE_CHANNEL_H
#define FERMATA_ENGINE_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "engine/agent/abi.h"
#include "engine/program.h"

enum {
	CHANNEL_STACK = 1024,
	CHANNEL_MIN = 8192,
};

struct channel {
	struct agent_channel *shared; /* the controller's mapping */
	uint64_t task_addr;           /* the same bytes in the task */
	size_t size;
	size_t data_end; /* offset where room for data ends */
	uint64_t stack;  /* initial stack pointer of whoever plays this channel */
};

void channel_init(struct channel *ch, void *shared, uint64_t task_addr, size_t size,
	enum agent_park park);

/* The same room with the stack in front. */
void channel_init_behind_stack(struct channel *ch, void *shared, uint64_t task_addr, size_t size,
	enum agent_park park);

static inline uint64_t channel_stack(const struct channel *ch)
{
	return ch->stack;
}

/*
 * Places as many steps as fit, from p->n_played on, and counts up the request.
 * Returns their number (0: nothing left), -E2BIG if one step alone is too large.
 */
int channel_load(struct channel *ch, struct program *p);

/*
 * After the agent parked: takes back results and data of the loaded steps and advances
 * p->n_played.  A step that failed becomes the failure of the session.
 */
int channel_collect(struct channel *ch, struct program *p);

/*
 * After the agent parked at a failed step: takes back what came before it, without a failure, so
 * that channel_load() begins with that step again.
 */
void channel_retreat(struct channel *ch, struct program *p);

/* The step that stopped the program: its call and -errno; false if none did. */
bool channel_failed(const struct channel *ch, uint32_t *ret_nr, int *ret_err);

#endif
