/* Ghosts: removed files, kept in images. Internal to src/file. */
#ifndef FERMATA_FILE_GHOST_H
#define FERMATA_FILE_GHOST_H

#include "file/dumping.h"
#include "file/restoring.h"

/* At finish: an inode whose link could not be made becomes a ghost after all. */
int ghost_add(struct file_dump *d, const struct file_view *v, struct dumped_file *f);

/* ghost_extras.c: reads them, for the record of f. v's fd may be -1. */
int ghost_extras_collect(struct file_dump *d, const struct file_view *v, struct dumped_file *f);

/* --- restore --- */

/* One of those by which open files know it. */
struct ghost_name {
	const char *name;
	int anchor;    /* O_PATH, to open it again by this name; -1 */
	unsigned made; /* directories above it, for a moment */
};

struct ghost {
	uint32_t number;
	const GhostFileEntry *e;
	const char *name; /* the first */
	VEC(struct ghost_name) names;
	const char *path;	     /* where it was made; NULL: not yet */
	bool nameless;		     /* again, already: opened by the anchors */
	const RegFileEntry *unnamed; /* the open file that creates it by O_TMPFILE; NULL: none */
	int creator;		     /* that file; -1: given away */
	bool watched;
	const FermataGhost *extra; /* ghost_extras.c; NULL: none */
	int flags_fd;		   /* to set inode flags by, at the end; -1: none are to be set */
	bool no_follow; /* some file was opened with O_NOFOLLOW, as shm_open(3) does: not by anchors */
};

/* ghost_make.c */
int ghost_set_times(const struct file_set *f, const struct ghost *g);
void ghost_close_anchors(struct ghost *g);

/* ghost_extras.c, in this order: of a new, empty file; when it has its owner and mode. */
int ghost_extras_begin(struct file_set *f, const struct ghost *g, int fd);
int ghost_extras_set(struct file_set *f, struct ghost *g);

#endif
