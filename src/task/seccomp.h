/* seccomp.img, one for the whole tree; see seccomp.c. */
#ifndef FERMATA_TASK_SECCOMP_H
#define FERMATA_TASK_SECCOMP_H

#include "task/task.h"

/* When the threads of all tasks were inspected, by their tracers: compares their chains. */
void seccomp_collect(struct session *s, struct tree *tree);

/* At the end of a dump: writes the filters that the seccomp aspect found, or no file. */
int seccomp_write_image(struct session *s, const struct tree *tree);

/* Before aspects_check(): reads them. A missing file is an error only to a thread that needs it. */
int seccomp_load_image(struct session *s, struct tree *tree);

#endif
