/* What finding out about landlock leaves behind. */
#ifndef FERMATA_TASK_LANDLOCK_H
#define FERMATA_TASK_LANDLOCK_H

#include "task/task.h"

/* Before the first task is read, which two threads do. */
void landlock_prepare(struct session *s, struct tree *tree);

/* After the last task was read: the processes that tasks were let look at end. */
void landlock_dismiss(struct tree *tree);

#endif
