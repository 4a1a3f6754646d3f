/* A session with an image directory of its own, and files to compare. */
#ifndef FERMATA_TESTS_IMAGE_TEST_H
#define FERMATA_TESTS_IMAGE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
/* cmocka's fail() is a macro and would swallow the one of base/session.h. */
#undef fail
#undef fail_msg
#define fail_msg(...)                               \
	do {                                        \
		print_error("ERROR: " __VA_ARGS__); \
		print_error("\n");                  \
		_fail(__FILE__, __LINE__);          \
	} while (0)

#include "base/session.h"

struct image_test {
	struct session s; /* s.images is a new empty directory */
	char path[64];
};

/* For cmocka_unit_test_setup_teardown(); *state is a struct image_test. */
int image_test_setup(void **state);
int image_test_teardown(void **state);

/* Contents of a file of the test's directory; free() it. NULL when missing. */
char *image_test_slurp(const struct image_test *t, const char *name, size_t *ret_len);
/* As if it had been there before the directory was opened. */
void image_test_put(const struct image_test *t, const char *name, const void *data, size_t len);
/* Whether the file exists. */
int image_test_has(const struct image_test *t, const char *name);

/* The recorded failure contains the text. */
void assert_failure(const struct image_test *t, const char *text);

/* Directory with spec/ and golden/: $FERMATA_SHARED or next to the source. NULL if missing. */
const char *shared_dir(void);

#endif
