/* What cannot be dumped, by name. Internal to src/file. */
#ifndef FERMATA_FILE_UNSUPPORTED_H
#define FERMATA_FILE_UNSUPPORTED_H

#include "file/dumping.h"

/* No type wants the file. */
void unsupported_block(struct file_dump *d, const struct file_view *v);

/* It is on a mount that is not among the tree's. */
void unsupported_mount_block(struct file_dump *d, const struct file_view *v);
/* For docs/support.md: the i-th kind, NULL behind the last. */
const char *unsupported_kind(size_t i, const char **ret_remedy);
const char *unsupported_family(size_t i);

#endif
