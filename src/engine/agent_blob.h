/* The agent's code, embedded in the tool by engine/agent/blob.S. Position-independent, entry first. */
#ifndef FERMATA_ENGINE_AGENT_BLOB_H
#define FERMATA_ENGINE_AGENT_BLOB_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t agent_blob_start[], agent_blob_end[];

static inline size_t agent_blob_len(void)
{
	/* cppcheck-suppress comparePointers; symbols of one object */
	return (size_t)(agent_blob_end - agent_blob_start);
}

#endif
