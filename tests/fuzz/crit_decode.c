/*
 * crit decode of any image, in both layouts.  What it shows is what crit encode reads: the image
 * made of it shows the same.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crit.h"

/* What comes out, as a file; the errno of the failure in *ret_err. */
static int convert(int (*command)(struct crit *), int in, bool pretty, int *ret_err)
{
	struct session s;
	int out = fuzz_file(NULL, 0);
	struct fuzz_name from = fuzz_name(in), to = fuzz_name(out);
	fuzz_session(&s);
	struct crit c = {.s = &s, .in = from.path, .out = to.path, .pretty = pretty};
	*ret_err = command(&c);
	MUST(*ret_err >= 0 || s.failure.message);
	session_release(&s);
	return out;
}

static void compare(int a, int b)
{
	size_t a_size, b_size;
	_cleanup_free_ char *one = fuzz_slurp(a, &a_size), *other = fuzz_slurp(b, &b_size);
	MUST(a_size == b_size && memcmp(one, other, a_size) == 0);
}

static void there_and_back(int image, bool pretty)
{
	int err;
	_cleanup_close_ int json = convert(crit_decode, image, pretty, &err);
	if (err < 0)
		return;
	_cleanup_close_ int again = convert(crit_encode, json, false, &err);
	MUST(err >= 0);
	_cleanup_close_ int json_again = convert(crit_decode, again, pretty, &err);
	MUST(err >= 0);
	compare(json, json_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int err;
	_cleanup_close_ int image = fuzz_file(data, size);
	there_and_back(image, false);
	there_and_back(image, true);
	close(convert(crit_info, image, false, &err));
	return 0;
}
