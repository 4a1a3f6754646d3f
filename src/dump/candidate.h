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
	bool no_status;	       /* is read yet */
	struct thread *th;     /* not in the model yet; NULL: nothing was stopped */
	struct proc_stat stat; /* of a leader */
};

typedef VEC(struct candidate) candidate_vec;

/*
 * stop_round.c: stops each in its lane, and reads registers, mask, status, and stat of leaders.
 * deadline_us: on now_us()'s clock, 0 = none.  After a failure those that have a th may be stopped.
 * statuses_later: those of threads are left to dump_read_statuses().
 */
int dump_stop_candidates(
	struct session *s, candidate_vec *candidates, uint64_t deadline_us, bool statuses_later);

/*
 * status.c: the file itself, by the lane that traces it; -ESRCH without a failure if it is gone. Or
 * what many threads lack of it, at once.
 */
int dump_read_status(struct session *s, struct thread *th, pid_t pid);
struct dump;
int dump_read_statuses(struct dump *d, candidate_vec *candidates);

/*
 * changed.c: the leader was replaced (another thread made an execve()) or has died (a thread ended
 * the process, or somebody killed it) since it was stopped.  From any lane: a new incarnation or
 * the end has been seen already.  dump_find_changed() also sees what is only about to happen, and
 * asks all that are in the tree; *ret is one of them, or NULL.
 */
bool dump_leader_changed(const struct task *t);
int dump_find_changed(struct session *s, const struct tree *tree, struct task **ret);

/* Lets this task and all below it go, as they are, and takes them out of the tree. */
int dump_forget(struct session *s, struct tree *tree, struct task *t);

/* One that was stopped and is not in the tree; in its lane. */
void dump_let_go(pid_t tid);

#endif
