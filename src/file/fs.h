/* Current directory, root and umask (fs-*.img). Internal to src/file. */
#ifndef FERMATA_FILE_FS_H
#define FERMATA_FILE_FS_H

#include "file/dump.h"
#include "file/restore.h"

int fs_store(struct file_dump *d, struct task *t);
/* Fit for share_out(). */
int fs_write(struct session *s, const struct task *t);

#endif
