/* Files of /proc/PID, also of dead processes. Internal to src/file. */
#ifndef FERMATA_FILE_PROCFS_REMAP_H
#define FERMATA_FILE_PROCFS_REMAP_H

#include "file/dumping.h"
#include "file/restoring.h"

/* base: the link text without " (deleted)", NULL if it has none. */
int procfs_remap_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f,
	const char *base, const char **ret_name);

/* A task to stand for the dead process while its files are opened; none if it is in the tree. */
void procfs_remap_add_helper(struct file_set *f, pid_t pid);

#endif
