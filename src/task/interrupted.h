/* Calls that a waiting signal interrupts. */
#ifndef FERMATA_TASK_INTERRUPTED_H
#define FERMATA_TASK_INTERRUPTED_H

#include "task/task.h"

/* In the core images of all threads; their signals, masks and actions are known. */
void interrupted_calls(const struct tree *tree);

#endif
