/* fermata-*.img: what the reference's images have no field for; see extras.c. */
#ifndef FERMATA_TASK_EXTRAS_H
#define FERMATA_TASK_EXTRAS_H

#include "engine/program.h"
#include "fermata.pb-c.h"
#include "task/task.h"

/* Dump: the record of a thread, made at the first request. Ask only with something to put in. */
FermataEntry *extras_make(struct session *s, struct thread *t);

/* The value of an optional field of a thread's record, or what its absence stands for. */
#define extra_or(t, field, absent)                                                                 \
	((t)->extras && (t)->extras->has_##field ? (t)->extras->field : (absent))

/*
 * A step that may fail, with a warning: "its OBJECT could not be restored". For what changes only
 * speed or accounting, and depends on the machine or the kernel.
 */
extern const char extras_try[];
#define program_try(p, object_, nr_, ...)                                                          \
	program_may_fail((p), program_step((p), extras_try, (object_), (nr_), __VA_ARGS__))

/* At the end of a dump: the records of all threads, or no file. */
int extras_write_image(struct session *s, const struct task *t);

/*
 * Before aspects_check(): fills thread.extras. The file may be missing; one that is left from
 * another dump (by tree.run_id) is not looked at.
 */
int extras_load_image(struct session *s, struct task *t);

/* Steps that read something which may be missing, asked of the task as prctl(option, ...). */
int extras_ask(struct program *p, const char *what, uint64_t option);

#endif
