/* Descriptor tables (fdinfo-*.img). Internal to src/file. */
#ifndef FERMATA_FILE_FD_TABLE_H
#define FERMATA_FILE_FD_TABLE_H

#include "file/dump.h"
#include "file/restore.h"

/* The task's table is its parent's. */
bool shares_files(const struct task *t);

/* Fit for share_out(). */
int fd_table_list(struct session *s, struct task *t);
/* Steps that read the descriptors' flags, and their results; fit for any lane. */
void fd_table_collect(struct task *t, struct program *p);
int fd_table_take(struct task *t, const struct program *p);
int fd_table_store(struct file_dump *d, struct task *t);
/* Fit for share_out(). */
int fd_table_write(struct session *s, const struct task *t);

/* After all tasks were stored: what fd of t is; NULL: not open, or blocked. */
struct dumped_file *fd_table_find(const struct task *t, uint32_t fd);
/* Some number of the open file in t's table; -1: none. */
int fd_table_number(struct file_dump *d, const struct task *t, const struct dumped_file *file);
/* How many open files of t have this link text; one of them. */
size_t fd_table_find_link(const struct task *t, const char *link, const struct dumped_file **ret);

#endif
