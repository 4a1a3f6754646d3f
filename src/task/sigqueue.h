/* Pending signals, once more before they are written. */
#ifndef FERMATA_TASK_SIGQUEUE_H
#define FERMATA_TASK_SIGQUEUE_H

#include "task/task.h"

/*
 * What came since the queues were read, while the tasks were stopped (since stopped_at_us of
 * now_us()), goes into the core images as well.  Ticks of timers that were read with time left are
 * not counted twice.  Of the threads of one lane.
 */
int sigqueue_read_again(
	struct session *s, const struct tree *tree, unsigned lane, uint64_t stopped_at_us);

#endif
