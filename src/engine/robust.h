/*
 * The controller's robust list: channels whose agents must learn of its death.
 *
 * robust_hold() puts the channel's `hold` word on the list of the calling thread; when that thread
 * dies, the kernel sets FUTEX_OWNER_DIED there and wakes the agent (set_robust_list(2); the kernel
 * walks at most 2048 entries).  The tool uses no robust pthread mutexes, so the list is free.
 */
#ifndef FERMATA_ENGINE_ROBUST_H
#define FERMATA_ENGINE_ROBUST_H

#include "engine/agent/abi.h"

void robust_hold(struct agent_channel *ch);
void robust_drop(struct agent_channel *ch);

#endif
