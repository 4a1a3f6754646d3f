/* The steps of a dump, in the order of dump.c. Internal to src/dump/. */
#ifndef FERMATA_DUMP_DUMP_TREE_H
#define FERMATA_DUMP_DUMP_TREE_H

#include "base/share.h"
#include "engine/inject.h"
#include "file/dump.h"
#include "image/replaced.h"
#include "mem/vma_dump.h"
#include "task/aspect.h"
#include "task/task.h"

struct dump {
	struct session *s;
	struct tree tree;
	struct file_dump *files;
	struct vma_dump **vmas;			      /* by task index */
	struct aspect_states **states;		      /* likewise; of each of its threads */
	const struct namespace_names *own_namespaces; /* namespaces.c */
	bool root_is_ours;			      /* likewise: its namespaces are */
	int records_program; /* records.c: 0 is not tried yet, negative is not to be had */
	task_record_vec records;
	bool *alone; /* likewise: collect_task.c */
	bool failed; /* in some lane: the other one stops */
	/* what the leaders of a batch play; their room is kept */
	struct program programs[LANES_MAX][VISITS_MAX];
	struct replaced replaced;
	uint64_t start_us, stopped_us;
	bool dry; /* preflight: nothing is written */
};

/* seize_tree.c: stops the tree below s->opt->tree and builds the model of it. */
int dump_seize_tree(struct dump *d);

/*
 * records.c: false if so few tasks or threads are not worth it, or the kernel has none. Then
 * d->records of all that is stopped now; false, and there are none, if the kernel does not tell.
 */
bool dump_open_records(struct dump *d, size_t n_tasks, size_t n_threads);
bool dump_read_records(struct dump *d);
void dump_forget_records(struct dump *d);

/* read_tasks.c: what two threads can read at once: state, mappings, t->ids. */
int dump_read_tasks(struct dump *d);

/*
 * kobj_ids.c: which kernel objects tasks share; t->ids. First all get theirs made, then the kinds
 * can be read, the threads of each task and the namespaces looked at in any order (share_out()), then
 * all are checked.
 */
enum { DUMP_ID_KINDS = 3 };
int dump_prepare_ids(struct dump *d);
int dump_read_ids(struct session *s, const struct dump *d, int kind);
int dump_check_threads(struct session *s, const struct task *t);
int dump_check_ids(struct dump *d);

/* namespaces.c: for dump_prepare_ids(); then of each task, with its threads. */
int dump_prepare_namespaces(struct dump *d);
void dump_set_namespace_ids(const struct dump *d, TaskKobjIdsEntry *ids);
int dump_check_namespaces(struct session *s, const struct dump *d, const struct task *t);

/* cgroups.c: of stopped tasks, before anything is to run in them. */
int dump_check_cgroups(struct dump *d);

/* collect_task.c: everything but page contents. */
int dump_collect_tasks(struct dump *d);
/* how: visit_begin() or visit_open(). */
int dump_begin_visit(
	struct session *s, struct task *t, typeof(visit_open) *how, struct visit **ret);

/* write_images.c: what was collected, as images. */
int dump_write_tasks(struct dump *d);
int dump_write_tree(struct dump *d);
int dump_write_inventory(struct dump *d);

/* release.c: lets every seized thread go as it was, stopped, or kills it. */
enum release { RELEASE_AS_IT_WAS, RELEASE_STOPPED, RELEASE_KILLED };
void dump_release(struct dump *d, enum release how);

/* dump.c: seize, collect; blockers are in s->blockers. Shared with the preflight. */
int dump_collect(struct dump *d);

#endif
