/* The steps of a restore, in the order of restore.c. Internal to src/restore/. */
#ifndef FERMATA_RESTORE_RESTORE_TREE_H
#define FERMATA_RESTORE_RESTORE_TREE_H

#include "engine/stub.h"
#include "file/restore.h"
#include "mem/plan.h"
#include "task/aspect.h"
#include "task/task.h"

struct restore {
	struct session *s;
	struct tree tree;
	struct file_set *files;
	struct stubs stubs;
};

/* load_tree.c: the model from inventory, pstree, cores, ids and mm. */
int restore_load_tree(struct restore *r);

/* unread.c: images of the set that nothing else here reads are whole, too. */
int restore_check_unread(struct restore *r);

/* sessions.c: who must be forked by whom, and helpers for the dead, so that sessions come out. */
int restore_arrange_sessions(struct restore *r);

/* pids.c: no PID that the tree needs is taken. */
int restore_check_pids(struct restore *r);

/* births.c: all stubs, with their memory, sessions and process groups. */
int restore_births(struct restore *r);

/* deaths.c: zombies and helpers end, and those that must be reaped are. */
int restore_deaths(struct restore *r);

/* settle.c: everything else of each task: files, threads, aspects. */
int restore_settle(struct restore *r);
/* An empty program for the thread, named after it. */
struct program *restore_fresh_program(struct restore *re, struct thread *th);

/*
 * threads.c: makes the threads of a task complete, begun for all tasks before any is ended; but for
 * those that restore_late_threads() completes once the leader has its aspects.
 */
int restore_begin_threads(struct restore *re, struct task *t);
int restore_end_threads(struct restore *re, struct task *t);
int restore_late_threads(struct restore *re, struct task *t);

/* Calls step for every task that lives, in order, up to the first failure. */
int restore_each_living(struct restore *re, int (*step)(struct restore *, struct task *));

/* take_over.c: stubs become tasks and are let go. */
int restore_take_over(struct restore *r);

#endif
