/*
 * What the harnesses share.  Each is one function that takes any bytes, linked with libFuzzer, or
 * with replay.c, which gives it the files of corpus/.
 */
#ifndef FERMATA_TESTS_FUZZ_H
#define FERMATA_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A session that says nothing. */
void fuzz_session(struct session *s);

/* A file in memory with these bytes; its owner closes it. */
int fuzz_file(const void *data, size_t size);
/* All of a file, NUL-terminated; free() it. */
char *fuzz_slurp(int fd, size_t *ret_size);
/* How the n-th descriptor is called. */
struct fuzz_name {
	char path[32];
};
struct fuzz_name fuzz_name(int fd);

/* What must hold whatever the input. */
#define MUST(what)                                                                 \
	do {                                                                       \
		if (!(what)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                   \
		}                                                                  \
	} while (0)

#endif
