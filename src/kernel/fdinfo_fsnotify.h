/* What fdinfo says of inotify instances and fanotify groups (fs/notify/fdinfo.c). */
#ifndef FERMATA_KERNEL_FDINFO_FSNOTIFY_H
#define FERMATA_KERNEL_FDINFO_FSNOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/proc_fdinfo.h"

enum { FSNOTIFY_HANDLE_MAX = 128 }; /* MAX_HANDLE_SZ */

enum fdinfo_mark_kind { MARK_GROUP, MARK_INODE, MARK_MOUNT, MARK_FILESYSTEM };

struct fdinfo_mark {
	enum fdinfo_mark_kind kind;  /* MARK_GROUP: fanotify's first line, of the group itself */
	uint64_t wd;		     /* inotify */
	uint64_t flags, event_flags; /* MARK_GROUP */
	uint64_t ino, sdev;	     /* sdev as inside the kernel: major << 20 | minor */
	uint64_t mnt_id;
	uint64_t mflags, mask, ignored_mask;
	uint64_t handle_bytes, handle_type; /* 0 bytes: the filesystem has no handles */
	uint8_t handle[FSNOTIFY_HANDLE_MAX];
};

/* The next line of "inotify" or "fanotify" at or after *c; false at the end, or *ret_malformed. */
bool fdinfo_mark_next(
	struct scan *c, const char *what, struct fdinfo_mark *ret, bool *ret_malformed);

#endif
