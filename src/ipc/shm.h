/*
 * A shared memory segment of the tree, and whether the one of its id that exists is still it.
 * Internal to src/ipc; others use ipc.h.
 */
#ifndef FERMATA_IPC_SHM_H
#define FERMATA_IPC_SHM_H

#include "ipc/ipc.h"

enum shm_fate { SEGMENT_UNUSED, SEGMENT_ATTACH, SEGMENT_REFILL, SEGMENT_MAKE };

struct shm_segment {
	uint32_t id;
	IpcShmEntry *e;
	uint32_t map_flags; /* of a mapping of it */

	/* dump: where it can be read */
	const struct task *task;
	const char *link;

	/* restore */
	enum shm_fate fate;
	bool made;
};

/* What a mapping of all of it takes, in whole pages. */
uint64_t shm_mapped_size(const struct shm_segment *g);

/* fail(), with its name. */
int shm_bad(struct session *s, int err, const struct shm_segment *g, const char *why);

/* The controller's own attachment, and the file behind it. */
struct shm_attached {
	void *at;
	int fd;
};

/* open_flags: O_RDONLY or O_RDWR. On success the caller detaches. */
int shm_attach(
	struct session *s, const struct shm_segment *g, int open_flags, struct shm_attached *ret);
void shm_detach(struct shm_attached *a);

/* Restore: decides its fate, or refuses if its id, its key or its contents are others' by now. */
int shm_look_at(struct session *s, const struct tree *tree, struct shm_segment *g);

#endif
