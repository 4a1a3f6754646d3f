/* Actions of signals in an image. */
#ifndef FERMATA_TASK_SIGNAL_ACTION_H
#define FERMATA_TASK_SIGNAL_ACTION_H

#include <signal.h>

#include "task/task.h"

/* The list leaves out the two that have none. NULL: one of these, or not in it. */
static inline const SaEntry *signal_action(const TaskCoreEntry *tc, int signo)
{
	if (signo == SIGKILL || signo == SIGSTOP || signo < 1)
		return NULL;
	size_t at = (size_t)signo - 1 - (signo > SIGKILL) - (signo > SIGSTOP);
	return at < tc->n_sigactions ? tc->sigactions[at] : NULL;
}

#endif
