/* Is a task kept from running by its cgroup, of either version? */
#ifndef FERMATA_KERNEL_CGROUP_FREEZER_H
#define FERMATA_KERNEL_CGROUP_FREEZER_H

#include <sys/types.h>

struct session;

/*
 * membership: text of /proc/PID/cgroup.  The file that freezes it, in the arena, or NULL: it is not
 * frozen, or the cgroup cannot be seen from here (no mount of it in the usual place).
 */
const char *cgroup_frozen_by(struct session *s, const char *membership);
const char *cgroup_task_frozen_by(struct session *s, pid_t pid);

#endif
