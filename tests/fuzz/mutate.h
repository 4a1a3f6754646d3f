/*
 * Changes that leave the frame of an image intact: with libFuzzer's own, hardly any would come past
 * the lengths.
 */
#ifndef FERMATA_TESTS_FUZZ_MUTATE_H
#define FERMATA_TESTS_FUZZ_MUTATE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

struct dice {
	uint64_t state;
	struct arena *a;
};

/* A number below n. */
uint32_t roll(struct dice *d, size_t n);

/* Changes a field of m, or of a message in it. */
void mutate_message(struct dice *d, ProtobufCMessage *m);

/* Changes a record of an image, or, if it is none, some bytes. Returns the new size. */
size_t mutate_image(struct dice *d, uint8_t *data, size_t size, size_t max_size);

#endif
