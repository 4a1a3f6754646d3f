/* Locks and leases on open files (filelocks.img). */
#ifndef FERMATA_FILE_FILE_LOCK_H
#define FERMATA_FILE_FILE_LOCK_H

#include <stdbool.h>

struct session;
struct file_dump;
struct file_view;
struct dumped_file;
struct file_set;
struct fd_table;
struct program;
struct task;

/* Dump: at its beginning, with the tree stopped. */
int file_lock_begin(struct file_dump *d);
/*
 * For every descriptor of every table: fd of t has f. v is the view of f if it was just examined,
 * NULL for a descriptor that fork() left.
 */
int file_lock_collect(struct file_dump *d, struct task *t, int fd, struct dumped_file *f,
	const struct file_view *v);
/* Whether opening the file for reading would break a lease, which signals its holder. */
bool file_lock_forbids_open(const struct file_view *v);
/* After all tables: locks of files that no table has. */
int file_lock_check(struct file_dump *d);
int file_lock_write(struct file_dump *d);

/* Restore: filelocks.img, when all tables are known. */
int file_lock_load(struct file_set *f);
/* Whether the table has any. */
bool file_lock_has(const struct fd_table *t);
/* The last thing that is done with the descriptors of a task. */
int file_lock_plan(struct file_set *f, struct fd_table *t, struct program *p);

#endif
