/*
 * Everything behind file descriptors: its restore.
 *
 * The controller opens each file once and passes it to the tasks; see file/fd_table.c.  Order:
 *
 *	file_load()            before anything is forked: reads and checks all images
 *	file_open()            at any time after all stubs exist, for mappings and the executable
 *	file_restore_tables()  all stubs parked, own memory in place
 *	file_plan_fs()         after that, per task
 *	file_restore_late()    threads, process groups and sessions exist: what needs them, owners
 *	                       (F_SETOWN), seals; closes the service descriptors of the stubs
 *	file_restore_finish()  aspects are set: removes ghosts, arms timers
 *	file_restore_done()    the tasks are complete: removes links; or
 *	file_restore_undo()    the restore failed
 */
#ifndef FERMATA_FILE_RESTORE_H
#define FERMATA_FILE_RESTORE_H

#include "engine/program.h"
#include "engine/stub.h"
#include "task/task.h"

struct file_set;

/*
 * Needs tasks with their ids. Sets t->files and t->fs, and adds TASK_HELPER tasks (children of
 * the root, of its session and group) for dead processes whose /proc files were open.
 */
int file_load(struct session *s, struct tree *tree, struct file_set **ret);

/* The smallest number above after that no descriptor of the tree has. */
int file_free_number(const struct file_set *f, int after);

/* The path of a file, for messages; "?" when it has none. */
const char *file_name(const struct file_set *f, uint32_t id);

/* Whether files.img has the id, as a file that can be mapped or executed. */
bool file_is_mappable(const struct file_set *f, uint32_t id);

/*
 * A fresh close-on-exec descriptor in the controller. flags: open(2)'s, or -1 for those of the
 * image. Files without a path (memfd) are created and filled when first opened.
 */
int file_open(struct file_set *f, uint32_t id, int flags, int *ret_fd);

/*
 * Terminals: made before the root is forked; taken by a session leader in its birth program, which
 * receives a descriptor if it has one; and the rest when all tasks are in their groups.
 */
int file_make_terminals(struct file_set *f);
bool file_has_terminal(const struct file_set *f, const struct task *t);
int file_plan_terminal(struct file_set *f, struct stubs *st, struct task *t, struct program *p);
int file_settle_terminals(struct file_set *f, struct stubs *st);
/* The tasks run: SIGWINCH, if the terminal of --shell-job has another size than theirs had. */
void file_tell_terminals(struct file_set *f);
/* The foreground group of the terminal of which t is the session leader; 0: none. */
pid_t file_foreground_group(const struct file_set *f, const struct task *t);

/* Gives every descriptor table its descriptors, but those that must wait for file_restore_late().
 */
int file_restore_tables(struct file_set *f, struct stubs *st);

/* Appends root, current directory and umask, where they differ from the controller's. */
int file_plan_fs(struct file_set *f, struct task *t, struct program *p);

int file_restore_late(struct file_set *f, struct stubs *st);

int file_restore_finish(struct file_set *f);

void file_restore_done(struct file_set *f);
/* What that removes, for --explain. */
void file_explain_links(const struct file_set *f);
void file_restore_undo(struct file_set *f);

#endif
