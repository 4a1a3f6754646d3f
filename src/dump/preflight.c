/* Place holder until the preflight exists. */
#include "dump/preflight.h"

#include <errno.h>

#include "base/session.h"

int preflight_run(struct session *s)
{
	return fail(s, ENOSYS, "the preflight is not built yet");
}
