/* A directory of images as tables, for the commands that look at a whole checkpoint. */
#ifndef CRIT_EXPLORE_H
#define CRIT_EXPLORE_H

#include "base/session.h"
#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "image/codec.h"
#include "inventory.pb-c.h"
#include "mem.pb-c.h"

/* vma_entry.status; the names are those of number.c. */
enum vma_status {
	VMA_AREA_REGULAR = 1 << 0,
	VMA_AREA_STACK = 1 << 1,
	VMA_AREA_VSYSCALL = 1 << 2,
	VMA_AREA_VDSO = 1 << 3,
	VMA_AREA_HEAP = 1 << 5,
	VMA_FILE_PRIVATE = 1 << 6,
	VMA_FILE_SHARED = 1 << 7,
	VMA_ANON_SHARED = 1 << 8,
	VMA_ANON_PRIVATE = 1 << 9,
	VMA_AREA_SYSVIPC = 1 << 10,
	VMA_AREA_SOCKET = 1 << 11,
	VMA_AREA_VVAR = 1 << 12,
	VMA_AREA_GUARD = 1 << 16, /* a guard range; these stand behind all mappings */
};

struct explored_task {
	uint32_t pid, parent, pgid, sid;
	const PstreeEntry *entry;
	const CoreEntry *core; /* NULL: has none, as dead tasks */
	bool shown;
};

/* Everything lives in the session's arena; the directory is the explorer's. */
struct explorer {
	struct session *s;
	struct image_dir *dir;
	VEC(struct explored_task) tasks; /* in the order of pstree.img */
	FileEntry **files;
	size_t n_files;
	VEC(uint64_t) segments; /* ids of shared memory, numbered as they are met */
};

int explorer_open(struct session *s, const char *path, struct explorer *x);
void explorer_close(struct explorer *x);
#define _cleanup_explorer_ _cleanup_(explorer_close)

/* NULL where the task has none. Failures are those of reading images. */
int explore_fds(
	struct explorer *x, const struct explored_task *t, FdinfoEntry ***ret, size_t *ret_n);
int explore_fs(struct explorer *x, const struct explored_task *t, FsEntry **ret);
int explore_mm(struct explorer *x, const struct explored_task *t, MmEntry **ret);

const FileEntry *explore_find_file(const struct explorer *x, uint32_t id);
/* "/etc/passwd", "pipe[12]", "EVENTFD.3" */
const char *explore_file(const struct explorer *x, uint32_t id);
/* " /lib/libc.so + 0x1000 (s)", with the blank before it; "" for plain memory. */
const char *explore_vma(struct explorer *x, const VmaEntry *v);

#endif
