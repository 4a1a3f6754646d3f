/* Who has an object open: a walk through all of /proc, for messages of refusals. */
#ifndef FERMATA_KERNEL_PROC_HOLDER_H
#define FERMATA_KERNEL_PROC_HOLDER_H

#include <sys/types.h>

/*
 * Some process, but this one, with a descriptor whose link ends in link_end and, unless rdev is 0,
 * that is the device node rdev on file system dev.  0: none, or none that may be looked at.
 */
pid_t proc_find_holder(const char *link_end, dev_t dev, dev_t rdev);

#endif
