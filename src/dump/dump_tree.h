/* The steps of a dump, in the order of dump.c. Internal to src/dump/. */
#ifndef FERMATA_DUMP_DUMP_TREE_H
#define FERMATA_DUMP_DUMP_TREE_H

#include "file/dump.h"
#include "mem/vma_dump.h"
#include "task/aspect.h"
#include "task/task.h"

struct dump {
	struct session *s;
	struct tree tree;
	struct file_dump *files;
	struct vma_dump **vmas; /* by task index */
	struct program program; /* what the leader of the task under way plays; its room is kept */
	uint64_t start_us, stopped_us;
	bool dry; /* preflight: nothing is written, nothing runs in the tasks */
};

/* seize_tree.c: stops the tree below s->opt->tree and builds the model of it. */
int dump_seize_tree(struct dump *d);

/* kobj_ids.c: which kernel objects tasks share; t->ids. */
int dump_collect_ids(struct dump *d);

/* collect_task.c: everything but page contents, of one task. */
int dump_collect_task(struct dump *d, struct task *t);
/* Its pages. */
int dump_task_pages(struct dump *d, struct task *t);

/* write_images.c: what was collected, as images. */
int dump_write_task(struct dump *d, struct task *t);
int dump_write_tree(struct dump *d);
int dump_write_inventory(struct dump *d);

/* release.c: lets every seized thread go as it was, stopped, or kills it. */
enum release { RELEASE_AS_IT_WAS, RELEASE_STOPPED, RELEASE_KILLED };
void dump_release(struct dump *d, enum release how);

/* dump.c: seize, collect; blockers are in s->blockers. Shared with the preflight. */
int dump_collect(struct dump *d);

#endif
