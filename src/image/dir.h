/* A directory of images: the one being written or read, the work directory, or a parent dump. */
#ifndef FERMATA_IMAGE_DIR_H
#define FERMATA_IMAGE_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/session.h"
#include "image/registry.h"

struct image_dir {
	int fd;
	const char *path;	  /* for messages */
	uint32_t next_pages_id;	  /* of the next pages-<n>.img; a page server starts at 0x10001 */
	struct image_dir *parent; /* the dump this one is a difference to; NULL = not opened yet */
	bool no_parent;		  /* looked for and not there */
	bool was_empty;		  /* when it was opened: nothing stale can be in it */
	int generation;		  /* 0, or how many dumps this one is before the one read */
};

/* Opens an existing directory; relative paths count from the process's. Lives in the arena. */
int image_dir_open(struct session *s, const char *path, struct image_dir **ret);

/* The same for a descriptor, which the directory owns from then on, also on failure. */
int image_dir_from_fd(struct session *s, int fd, struct image_dir **ret);

/*
 * The directory that `parent` in this one leads to, opened once. Returns -ENOENT, without a
 * failure, when there is none.
 */
int image_dir_parent(struct session *s, struct image_dir *dir, struct image_dir **ret);

/* Closes the directory and its parents. NULL is fine. */
void image_dir_close(struct image_dir *dir);

/*
 * Opens a file of the directory by type and id; for raw images, which have no records.
 * flags are open(2)'s; with O_CREAT the mode is 0644 less the umask. Returns a descriptor, or
 * -ENOENT without a failure when O_CREAT is not given and the file is missing.
 */
int image_open_raw_at(struct session *s, const struct image_dir *dir, enum image_type type,
	uint64_t id, int flags);
/* In the session's image directory. */
int image_open_raw(struct session *s, enum image_type type, uint64_t id, int flags);

/* Removes the file if it is there. */
int image_unlink(struct session *s, const struct image_dir *dir, enum image_type type, uint64_t id);

#endif
