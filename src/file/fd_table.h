/* Descriptor tables (fdinfo-*.img). Internal to src/file. */
#ifndef FERMATA_FILE_FD_TABLE_H
#define FERMATA_FILE_FD_TABLE_H

#include "file/dump.h"
#include "file/restore.h"

/* The task's table is its parent's. */
bool shares_files(const struct task *t);

int fd_table_collect(struct file_dump *d, struct task *t, struct program *p);
int fd_table_store(struct file_dump *d, struct task *t, const struct program *p);
int fd_table_write(struct file_dump *d, struct task *t);

#endif
