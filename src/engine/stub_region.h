/* The shared region of all stubs: agent code, then one channel per thread. Internal to stub*.c. */
#ifndef FERMATA_ENGINE_STUB_REGION_H
#define FERMATA_ENGINE_STUB_REGION_H

#include "engine/stub.h"

enum {
	STUB_CODE_LEN = 4096, /* the agent, and behind it struct stub_gate */
	STUB_GATE = 2048,
	STUB_TASK_CHANNEL = 128 * 1024,
	STUB_THREAD_CHANNEL = 8 * 1024,
	STUB_PID_TRIES = 2000, /* for a number that is about to be freed */
	STUB_PID_WAIT_MS = 1,
};

/*
 * What the root stub waits for before it enters the agent: until the controller traces it, and so
 * takes it along when it dies, the controller's robust list does.
 */
struct stub_gate {
	uint32_t open;
	struct agent_channel hold; /* only its robust word is used: the controller's TID, then 0 */
};

void stub_region_init(struct stubs *st);
struct stub_gate *stub_gate(struct stubs *st);
/* Takes the next channel for a thread of t->task; large for leaders. */
int stub_region_channel(struct stubs *st, struct thread *t);

#endif
