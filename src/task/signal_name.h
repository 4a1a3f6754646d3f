/* "SIGTERM", "signal 40": for messages. */
#ifndef FERMATA_TASK_SIGNAL_NAME_H
#define FERMATA_TASK_SIGNAL_NAME_H

#include <string.h>

#include "base/session.h"

static inline const char *signal_name(struct session *s, int signo)
{
	const char *name = sigabbrev_np(signo);
	return name ? arena_printf(&s->arena, "SIG%s", name)
		    : arena_printf(&s->arena, "signal %d", signo);
}

#endif
