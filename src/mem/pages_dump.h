/* Private memory of a stopped task into pagemap-*.img and pages-*.img. */
#ifndef FERMATA_MEM_PAGES_DUMP_H
#define FERMATA_MEM_PAGES_DUMP_H

#include "engine/inject.h"
#include "mem/vma_dump.h"

/*
 * Gives the pages image its id and tells whether a visit makes pages_dump_task() faster: the task
 * then writes its pages itself. Without one they are copied from outside, which is fit for
 * share_out().  Returns 1 (and has kept what the agent will be sitting on), 0 or -errno.
 */
int pages_prepare(struct vma_dump *v);

/*
 * Writes both images; visit may be NULL. The registers of the threads must still be those of the
 * stop.  Adds to s->stats.  Fails rather than leave fewer bytes than the pagemap says.
 */
int pages_dump_task(struct session *s, struct task *t, struct vma_dump *v, struct visit *visit);

/* Bytes that the pages image of the task will have. Nothing is read but what is known. */
uint64_t pages_predict(const struct vma_dump *v);

/* --- internal to src/mem --- */

/* Bytes in a chunk at most: no more than one processor should have to do alone in the end. */
enum { PAGES_CHUNK_MAX = 1 << 20 };

/* A stretch of memory and where in the pages file it goes. */
struct page_chunk {
	uint64_t addr, len, offset; /* bytes */
	bool readable;		    /* by the task itself */
};

/* pages_outside.c: the controller copies; chunks ascend in offset. */
int pages_copy_outside(struct session *s, const struct vma_dump *v, int pages_fd,
	const struct page_chunk *chunks, size_t n);

/*
 * pages_inside.c: the task writes the readable chunks itself; those that it could not are left to
 * pages_copy_outside().
 */
int pages_write_inside(struct session *s, const struct vma_dump *v, struct visit *visit,
	int pages_fd, const struct page_chunk *chunks, size_t n);

/*
 * pages_beside.c: while somebody writes from the front, the controller copies from the back, in a way
 * that needs no lock of the file.
 */
struct pages_beside {
	const struct vma_dump *v;
	int pages_fd, uffd; /* uffd -1: there is no way, or none any more */
	unsigned n_processors;
	uint64_t bytes; /* copied */
};

/* Chunks follow each other in the file, which is new and will have that size. */
void pages_beside_begin(
	struct pages_beside *b, const struct vma_dump *v, int pages_fd, uint64_t size);
void pages_beside_end(struct pages_beside *b);

/*
 * Which of n chunks to copy next: from that one on to the last. n if the last is none that the task
 * may read itself, and so has to come from outside.
 */
size_t pages_beside_choose(const struct page_chunk *chunks, size_t n);

/* Copies those. False: it should rather be done otherwise, for now or (uffd < 0) for good. */
bool pages_beside_copy(struct pages_beside *b, const struct page_chunk *chunks, size_t n);

/* pages_both.c: as pages_copy_outside(), by two threads where that is worth it. */
int pages_copy_by_both(struct session *s, const struct vma_dump *v, int pages_fd,
	const struct page_chunk *chunks, size_t n);

/*
 * memory_cgroup.c: page cache that `writer` makes in place of `other` can never hit a limit set for
 * the writer.
 */
bool memory_cgroup_allows(struct session *s, pid_t writer, pid_t other);

#endif
