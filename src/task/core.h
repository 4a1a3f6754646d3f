/* The messages of a core image that aspects fill; see core.c. */
#ifndef FERMATA_TASK_CORE_H
#define FERMATA_TASK_CORE_H

#include "task/task.h"

/* The mm message of a task, made at the first request. */
MmEntry *core_mm(struct session *s, struct task *t);

/* The process's part of the core image. */
static inline TaskCoreEntry *core_tc(const struct thread *t)
{
	return leader(t->task)->core->tc;
}

#endif
