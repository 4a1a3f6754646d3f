/*
 * At restore, a shared memory segment that still exists must be what it was.  If only the tree used
 * it since (nobody has it attached, and the last who had is of the tree), it is set back to the
 * contents of the dump; else its contents must be those of the dump.
 */
#include "ipc/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "mem/shmem.h"
#include "mem/vma.h"

enum { BLOCK = 256 << 10 };

uint64_t shm_mapped_size(const struct shm_segment *g)
{
	uint64_t page = ARCH_PAGE_SIZE;
	if (g->map_flags & VMA_MAP_HUGETLB)
		page = UINT64_C(1) << (g->map_flags >> VMA_MAP_HUGE_SHIFT);
	return (g->e->size + page - 1) & ~(page - 1);
}

int shm_bad(struct session *s, int err, const struct shm_segment *g, const char *why)
{
	return fail(s, err, "shared memory segment %u (key %#x, %ju bytes): %s", g->id,
		g->e->desc->key, (uintmax_t)g->e->size, why);
}

void shm_detach(struct shm_attached *a)
{
	if (a->fd >= 0)
		close(take_fd(&a->fd));
	if (a->at)
		shmdt(a->at);
	a->at = NULL;
}

int shm_attach(
	struct session *s, const struct shm_segment *g, int open_flags, struct shm_attached *ret)
{
	*ret = (struct shm_attached){.fd = -1};
	void *at = shmat((int)g->id, NULL, open_flags == O_RDONLY ? SHM_RDONLY : 0);
	if (at == (void *)-1)
		return shm_bad(s, errno, g, "attach it");
	ret->at = at;
	char path[80];
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)at,
		(unsigned long)at + (unsigned long)shm_mapped_size(g));
	ret->fd = open(path, open_flags | O_CLOEXEC);
	if (ret->fd >= 0)
		return 0;
	int r = shm_bad(s, errno, g, "open it");
	shm_detach(ret);
	return r;
}

static int compare_files(struct session *s, const struct shm_segment *g, int a, int b)
{
	_cleanup_free_ char *buf = malloc((size_t)2 * BLOCK);
	if (!buf)
		return shm_bad(s, ENOMEM, g, "compare it");
	for (uint64_t at = 0; at < g->e->size; at += BLOCK) {
		ssize_t n = pread(a, buf, BLOCK, (off_t)at);
		ssize_t m = pread(b, buf + BLOCK, BLOCK, (off_t)at);
		if (n < 0 || m < 0)
			return shm_bad(s, errno, g, "compare it");
		if (n != m || memcmp(buf, buf + BLOCK, (size_t)n) != 0)
			return 0;
	}
	return 1;
}

/* 1: the contents are those of the dump; 0: they are not. */
static int is_unchanged(struct session *s, const struct shm_segment *g)
{
	_cleanup_close_ int dumped = memfd_create("segment", MFD_CLOEXEC);
	if (dumped < 0 || ftruncate(dumped, (off_t)g->e->size) < 0)
		return shm_bad(s, errno, g, "compare it");
	struct shm_attached now;
	int r = shmem_fill(s, dumped, g->id, /* mapped= */ false);
	if (r >= 0)
		r = shm_attach(s, g, O_RDONLY, &now);
	if (r < 0)
		return r;
	r = compare_files(s, g, dumped, now.fd);
	shm_detach(&now);
	return r;
}

static int look_at_existing(struct session *s, const struct tree *tree, struct shm_segment *g,
	const struct shmid_ds *ds)
{
	if (ds->shm_segsz != g->e->size || !ipc_desc_same(g->e->desc, &ds->shm_perm))
		return shm_bad(s, EEXIST, g, "its id belongs to another segment now");
	g->fate = SEGMENT_ATTACH;
	if (!ds->shm_nattch && ipc_is_of_tree(tree, ds->shm_lpid)) {
		g->fate = SEGMENT_REFILL;
		return 0;
	}
	int r = is_unchanged(s, g);
	if (r)
		return r < 0 ? r : 0;
	return shm_bad(s, EBUSY, g,
		ds->shm_nattch ? arena_printf(&s->arena,
					 "others have it attached (%lu times) and changed it since "
					 "the dump",
					 (unsigned long)ds->shm_nattch)
			       : arena_printf(&s->arena, "pid %d changed it since the dump",
					 ds->shm_lpid));
}

int shm_look_at(struct session *s, const struct tree *tree, struct shm_segment *g)
{
	struct shmid_ds ds;
	if (shmctl((int)g->id, IPC_STAT, &ds) == 0)
		return look_at_existing(s, tree, g, &ds);
	if (errno != EINVAL && errno != EIDRM)
		return shm_bad(s, errno, g, "examine it");
	int other = g->e->desc->key ? shmget((key_t)g->e->desc->key, 0, 0) : -1;
	if (other >= 0)
		return shm_bad(s, EEXIST, g,
			arena_printf(&s->arena, "its key belongs to segment %d now", other));
	g->fate = SEGMENT_MAKE;
	return 0;
}
