/* Threads that are to be stopped, in a round of dump/seize_tree.c. Internal to src/dump/. */
#ifndef FERMATA_DUMP_CANDIDATE_H
#define FERMATA_DUMP_CANDIDATE_H

#include "task/task.h"

struct candidate {
	pid_t tid;
	struct task *task;   /* whose thread it is; NULL: the leader of a new one */
	struct task *parent; /* of a new one */
	unsigned lane;
	int how; /* enum seize_result */
	int signo;
	struct thread *th;     /* not in the model yet; NULL: nothing was stopped */
	struct proc_stat stat; /* of a leader */
};

typedef VEC(struct candidate) candidate_vec;

/*
 * stop_round.c: stops each in its lane, and reads registers, mask, status, and stat of leaders.
 * deadline_us: on now_us()'s clock, 0 = none.  After a failure those that have a th may be stopped.
 */
int dump_stop_candidates(struct session *s, candidate_vec *candidates, uint64_t deadline_us);

#endif
