/* The signal that tells a parent of its child's end; see exit_signal.c. */
#ifndef FERMATA_TASK_EXIT_SIGNAL_H
#define FERMATA_TASK_EXIT_SIGNAL_H

#include "task/task.h"

/* Dump of any task, from t->stat into the record of its main thread; of the living, by the aspect.
 */
void exit_signal_keep(struct session *s, struct task *t);
/* Restore of any task; likewise. */
int exit_signal_check(struct session *s, const struct task *t);

/* For clone3(2). */
uint64_t exit_signal_of(const struct task *t);

#endif
