/* Ghosts: removed files, kept in images. Internal to src/file. */
#ifndef FERMATA_FILE_GHOST_H
#define FERMATA_FILE_GHOST_H

#include "file/dumping.h"
#include "file/restoring.h"

/* At finish: an inode whose link could not be made becomes a ghost after all. */
int ghost_add(struct file_dump *d, const struct file_view *v, uint32_t orig_id);

#endif
