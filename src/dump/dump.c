/* Place holder until the dump pipeline exists. */
#include "dump/dump.h"

#include <errno.h>

#include "base/session.h"

int dump_run(struct session *s)
{
	return fail(s, ENOSYS, "the dump pipeline is not built yet");
}
