/*
 * io_uring(7): what connects rings with others, once all are known: mappings, registered files and
 * registered descriptors of the rings themselves.  Registered files are known by their path only
 * and must be open in the task under the very same, once.
 */
#include <string.h>

#include "file/fd_table.h"
#include "file/io_uring.h"
#include "mem/vma.h"

static struct ring *ring_of(const struct file_dump *d, uint64_t ino)
{
	vec_for_each (&d->rings, ring)
		if ((*ring)->ino == ino)
			return *ring;
	return NULL;
}

static void link_vmas(struct file_dump *d, struct task *t)
{
	for (size_t i = 0; i < t->mm->n_vmas; i++) {
		VmaEntry *e = t->mm->vmas[i];
		if (!(e->status & VMA_IO_URING))
			continue;
		const struct ring *ring = ring_of(d, e->shmid);
		if (ring && ring->file->kind == FD_TYPES__UND)
			continue; /* refused already */
		bool whole = e->pgoff == IORING_OFF_SQ_RING || e->pgoff == IORING_OFF_CQ_RING ||
			     e->pgoff == IORING_OFF_SQES;
		if (!ring || fd_table_number(d, t, ring->file) < 0)
			block(d->s, t->vpid, "have the program keep the descriptor open",
				"mapping %llx-%llx is of an io_uring whose descriptor it has "
				"closed",
				(unsigned long long)e->start, (unsigned long long)e->end);
		else if (!whole)
			block(d->s, t->vpid, NULL,
				"mapping %llx-%llx is a part of an io_uring that cannot be mapped "
				"alone",
				(unsigned long long)e->start, (unsigned long long)e->end);
		else
			e->shmid = ring->file->id;
	}
}

static void link_files(struct file_dump *d, struct ring *ring)
{
	size_t n = ring->info.n_files;
	ring->e->files = arena_array(&d->s->arena, uint32_t, n);
	ring->e->n_files = n;
	vec_for_each (&ring->info.files, slot) {
		const struct dumped_file *f;
		size_t found = fd_table_find_link(ring->task, slot->path, &f);
		if (strncmp(slot->path, "anon_inode:", strlen("anon_inode:")) == 0)
			found = 2; /* or more: all of a kind have one path */
		if (found == 1 && slot->index < n)
			ring->e->files[slot->index] = f->id;
		else
			block(d->s, ring->task->vpid, "have the program keep it open, once",
				"an io_uring with a registered file (%s) that %s", slot->path,
				found ? "it has open several times, which cannot be told apart"
				      : "it has not open otherwise, and which cannot be had");
	}
}

/* The one ring that a thread may use by index; NULL if there are more or none. */
static struct ring *only_ring(struct file_dump *d, const struct thread *th)
{
	struct ring *only = NULL;
	vec_for_each (&d->rings, at) {
		struct ring *ring = *at;
		bool usable = !ring->e->has_issuer || ring->e->issuer == (uint32_t)th->vtid;
		if (!usable || fd_table_number(d, th->task, ring->file) < 0)
			continue;
		if (only)
			return NULL;
		only = ring;
	}
	return only;
}

static void link_indices(struct file_dump *d, const struct rings_told *told)
{
	vec_for_each (&told->indices, at) {
		struct arena *a = &d->s->arena;
		struct ring *ring = only_ring(d, at->thread);
		if (!ring) {
			block(d->s, at->thread->vtid, "have the program unregister it",
				"thread %d has a registered descriptor of an io_uring "
				"(io_uring_register_ring_fd), and not one only that it could be of",
				at->thread->vtid);
			continue;
		}
		FermataIoUring *e = ring->e;
		FermataIoUringIndex *x = arena_new(a, FermataIoUringIndex);
		fermata_io_uring_index__init(x);
		x->tid = (uint32_t)at->thread->vtid;
		x->index = at->index;
		FermataIoUringIndex **grown =
			arena_array(a, FermataIoUringIndex *, e->n_indices + 1);
		if (e->n_indices)
			memcpy(grown, e->indices, e->n_indices * sizeof(*grown));
		grown[e->n_indices++] = x;
		e->indices = grown;
	}
}

int io_uring_complete(struct file_dump *d)
{
	vec_for_each (&d->tree->tasks, at) {
		struct task *t = *at;
		if (task_lives(t) && t->maps_rings)
			link_vmas(d, t);
		if (task_lives(t) && t->rings)
			link_indices(d, t->rings);
	}
	vec_for_each (&d->rings, ring)
		/* what is refused looks as if it were not open at all */
		if ((*ring)->file->kind != FD_TYPES__UND && !d->s->blockers.n)
			link_files(d, *ring);
	return 0;
}
