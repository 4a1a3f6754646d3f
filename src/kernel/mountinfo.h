/* The mounts of one mount namespace, as seen from a task's root directory. */
#ifndef FERMATA_KERNEL_MOUNTINFO_H
#define FERMATA_KERNEL_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"

struct session;

struct mountinfo {
	int id, parent; /* the root mount's parent is itself or outside of the list */
	dev_t dev;      /* s_dev; st_dev of files differs on btrfs and overlayfs */
	/* Paths and names are unescaped, and never NULL. */
	const char *root;       /* within the filesystem; not a path for nsfs and the like */
	const char *mountpoint; /* below the reading task's root */
	const char *fstype;     /* with subtype: "fuse.sshfs" */
	const char *source;     /* may be "" */
	/* As the kernel writes them; values of single options may hold octal escapes. */
	const char *options;                /* per mount: "rw,nosuid" */
	const char *sb_options;             /* per filesystem */
	int shared, master, propagate_from; /* peer group ids, 0 = none */
	bool unbindable;
};

typedef VEC(struct mountinfo) mountinfo_vec;

/* Appends to out. 0 or -EINVAL; mounts before the fault are appended. */
int mountinfo_parse(struct arena *a, const char *text, size_t len, mountinfo_vec *out);

int mountinfo_read(struct session *s, pid_t pid, mountinfo_vec *out);

/* Replaces \ooo by the byte it stands for, into the arena. */
char *mountinfo_unescape(struct arena *a, const char *text, size_t len);

#endif
