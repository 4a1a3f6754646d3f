/* What the tests of src/kernel share: sessions, and torture of text parsers. */
#ifndef FERMATA_TESTS_UNIT_TEST_PROC_H
#define FERMATA_TESTS_UNIT_TEST_PROC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* ours records, in base/session.h */
#include <stdlib.h>
#include <string.h>

#include "base/session.h"

typedef int (*parse_fn)(struct arena *a, const char *text, size_t len);

static inline int setup_session(void **state)
{
	struct session *s = calloc(1, sizeof(*s));
	session_init(s);
	*state = s;
	return 0;
}

static inline int teardown_session(void **state)
{
	session_release(*state);
	free(*state);
	return 0;
}

#define with_session(fn) cmocka_unit_test_setup_teardown(fn, setup_session, teardown_session)

/* The text in a heap block of exactly its size, so that sanitizers see every read beyond it. */
static inline int parse_exact(parse_fn parse, struct arena *a, const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);
	memcpy(copy, text, len);
	int err = parse(a, copy, len);
	free(copy);
	assert_true(err == 0 || err == -EINVAL);
	return err;
}

/* Every prefix, and many texts with a few bytes changed: any answer will do, a crash will not. */
static inline void torture(struct arena *a, parse_fn parse, const char *text, size_t len)
{
	static const char nasty[] = "\0\n\t :-/()\\9f\xff";
	uint64_t random = 88172645463325252ULL;
	for (size_t n = 0; n <= len; n++)
		parse_exact(parse, a, text, n);
	char *mutant = malloc(len);
	for (int round = 0; round < 4000; round++) {
		memcpy(mutant, text, len);
		for (int k = 0; k <= round % 4; k++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			mutant[random % len] = nasty[(random >> 32) % (sizeof(nasty) - 1)];
		}
		parse_exact(parse, a, mutant, len);
	}
	free(mutant);
}

#endif
