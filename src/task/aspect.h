/*
 * An aspect: one property of a task or thread, its dump and its restore in one file.
 *
 * The pipelines know no aspect by name; they walk aspects[] (aspect_table.c), whose order is the
 * order of restore.  docs/howto-add-an-aspect.md shows how to add one.
 *
 * Dump of one thread, stopped:
 *	read      reads from outside without ptrace (/proc, system calls that take a tid); touches
 *		  nothing but t, since two threads of the controller do this for many
 *	inspect   reads the rest from outside, by ptrace, before anything runs in the task
 *	collect   appends steps that read the rest inside the task
 *	store     after they were played: puts everything into t->core (or t->task->mm ...)
 * Restore:
 *	check     before anything is forked: is the image sane, can this kernel do it?
 *	plan      appends steps that set the property; all threads of the task exist by then
 *	finish    the controller's own part, after the programs were played, before take-over
 *	settle    after take-over: the thread has its registers and runs nothing before it is detached
 * Any of them may be NULL. They return 0 or a negative errno with the failure recorded; what a
 * dump cannot take is reported with block().
 *
 * *state is the aspect's own, NULL at first, handed from read to inspect to collect to store.
 */
#ifndef FERMATA_TASK_ASPECT_H
#define FERMATA_TASK_ASPECT_H

#include "engine/program.h"
#include "task/task.h"

struct aspect {
	const char *name;
	bool leader_only; /* a property of the process: only called for the leader */
	int (*read)(struct session *s, struct thread *t, void **state);
	int (*inspect)(struct session *s, struct thread *t, void **state);
	int (*collect)(struct session *s, struct thread *t, struct program *p, void **state);
	int (*store)(struct session *s, struct thread *t, const struct program *p, void *state);
	int (*check)(struct session *s, struct thread *t);
	int (*plan)(struct session *s, struct thread *t, struct program *p);
	int (*finish)(struct session *s, struct thread *t);
	int (*settle)(struct session *s, struct thread *t);
};

/* In order of restore; ends with NULL. */
extern const struct aspect *const aspects[];
enum { MAX_ASPECTS = 64 };

struct aspect_states {
	void *state[MAX_ASPECTS];
};

static inline bool aspect_applies(const struct aspect *a, const struct thread *t)
{
	return !a->leader_only || t == leader(t->task);
}

/* Each walks the table and stops at the first failure. */
int aspects_read(struct session *s, struct thread *t, struct aspect_states *st);
int aspects_inspect(struct session *s, struct thread *t, struct aspect_states *st);
int aspects_collect(struct session *s, struct thread *t, struct program *p, struct aspect_states *st);
int aspects_store(struct session *s, struct thread *t, const struct program *p,
	struct aspect_states *st);
int aspects_check(struct session *s, struct thread *t);
int aspects_plan(struct session *s, struct thread *t, struct program *p);
int aspects_finish(struct session *s, struct thread *t);
int aspects_settle(struct session *s, struct thread *t);

#endif
