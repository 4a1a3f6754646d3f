/* crit encode of any JSON.  The image made of it can be decoded. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "crit.h"

static int run(int (*command)(struct crit *), int in, int out)
{
	struct session s;
	struct fuzz_name from = fuzz_name(in), to = fuzz_name(out);
	fuzz_session(&s);
	struct crit c = {.s = &s, .in = from.path, .out = to.path};
	int err = command(&c);
	MUST(err >= 0 || s.failure.message);
	session_release(&s);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int json = fuzz_file(data, size);
	_cleanup_close_ int image = fuzz_file(NULL, 0);
	_cleanup_close_ int again = fuzz_file(NULL, 0);
	if (run(crit_encode, json, image) >= 0)
		MUST(run(crit_decode, image, again) >= 0);
	return 0;
}
