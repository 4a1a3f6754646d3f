/*
 * All aspects, in order of restore.  The order is forced only where a comment says so.
 */
#include "task/aspect.h"

extern const struct aspect itimer_aspect;

const struct aspect *const aspects[] = {
	/* last: timers that fire find everything else in place */
	&itimer_aspect,
	NULL,
};
