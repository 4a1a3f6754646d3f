/*
 * io_uring(7): rings with nothing in flight, their dump.  What stands against it is in
 * io_uring_refuse.c, what connects them with others in io_uring_links.c, the restore in
 * io_uring_restore.c.
 *
 * The memory that is shared with the kernel is copied as it is: entries that were not submitted,
 * results that were not read, indices, flags.  The kernel's own indices are in fdinfo.  How the
 * ring was set up is told by nothing directly:
 *
 *	sizes of entries, index array  by fdinfo, which prints them differently; io_uring_visit.c
 *	SINGLE_ISSUER, restrictions    by the errno of a registration that cannot succeed
 *	DEFER_TASKRUN                  only the issuer may wait for results
 *	IOPOLL                         NAPI is refused (Linux 6.9)
 *	SUBMIT_ALL, TASKRUN_FLAG       cannot be had. Both are set at restore: who did not ask for
 *	                               them sees more entries submitted at once, or a flag more
 *	COOP_TASKRUN                   is not set: results come sooner than with it
 */
#include "file/io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "file/file_extras.h"
#include "mem/vma.h"

enum {
	PAGE = ARCH_PAGE_SIZE,
	SQE = sizeof(struct io_uring_sqe),
	CQE = sizeof(struct io_uring_cqe),
};

int uring_layout(struct uring_layout *ret)
{
	struct io_uring_params params = {0};
	_cleanup_close_ int fd = uring_setup(1, &params);
	if (fd < 0)
		return fd;
	*ret = (struct uring_layout){params.sq_off.tail, params.cq_off.head};
	return 0;
}

static bool uring_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return strcmp(v->link, URING_LINK) == 0;
}

/* --- what it is --- */

static const struct ring_told *what_was_told(const struct file_view *v)
{
	const struct rings_told *told = v->from.task->rings;
	for (size_t i = 0; told && i < told->rings.n; i++)
		if (told->rings.v[i].fd == v->from.number)
			return &told->rings.v[i];
	return NULL;
}

static int examine(struct file_dump *d, const struct file_view *v, struct seen_ring *seen)
{
	int r = uring_fdinfo_read(d->s, getpid(), v->fd, &seen->ring->info);
	if (r < 0)
		return fail(
			d->s, r, "pid %d %s: read its state", v->from.task->vpid, view_label(d, v));
	seen->entries = seen->ring->info;
	seen->told = what_was_told(v);
	if (seen->told && *seen->told->text)
		uring_fdinfo_parse(
			&d->s->arena, seen->told->text, strlen(seen->told->text), &seen->entries);
	for (int i = 0; i < N_URING_ASKS; i++)
		seen->answers[i] = uring_register(v->fd, uring_ask_op[i], uring_ask_arg, 1);
	if (seen->answers[ASK_PROBE] == -EEXIST && seen->told && seen->told->issuer) {
		memcpy(seen->answers, seen->told->answers, sizeof(seen->answers));
		seen->ring->e->has_issuer = true;
		seen->ring->e->issuer = (uint32_t)seen->told->issuer->vtid;
		seen->ring->e->setup_flags |= IORING_SETUP_SINGLE_ISSUER;
	}
	seen->waits = uring_enter(v->fd, 0, IORING_ENTER_GETEVENTS);
	if (seen->waits == -EEXIST)
		seen->ring->e->setup_flags |=
			IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
	return 0;
}

/* --- how it is laid out --- */

static bool can_map(const struct file_view *v, uint64_t offset, uint64_t len)
{
	void *p = mmap(NULL, len, PROT_READ, MAP_SHARED, v->fd, (off_t)offset);
	if (p != MAP_FAILED)
		munmap(p, len);
	return p != MAP_FAILED;
}

/* Whether a page that is mapped exists; touching it would raise SIGBUS. */
static bool has_page(const char *page)
{
	char byte;
	struct iovec to = {&byte, 1}, from = {(void *)(uintptr_t)page, 1};
	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

/* Newer kernels map more than there is, with nothing in it; older ones refuse that. */
static bool is_as_long(const struct file_view *v, uint64_t offset, uint64_t len)
{
	uint64_t pages = (len + PAGE - 1) / PAGE * PAGE;
	char *p = mmap(NULL, pages + PAGE, PROT_READ, MAP_SHARED, v->fd, (off_t)offset);
	if (p == MAP_FAILED)
		return can_map(v, offset, pages);
	bool equal = has_page(p + pages - PAGE) && !has_page(p + pages);
	munmap(p, pages + PAGE);
	return equal;
}

/* A ring of ours with these sizes and flags says where things are. */
static int measure(struct seen_ring *seen)
{
	FermataIoUring *e = seen->ring->e;
	const uint32_t layout = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | URING_SETUP_NO_SQARRAY;
	struct io_uring_params params = {
		.flags = (e->setup_flags & layout) | IORING_SETUP_CQSIZE,
		.cq_entries = e->cq_entries,
	};
	_cleanup_close_ int fd = uring_setup(e->sq_entries, &params);
	if (fd < 0)
		return fd;
	uint32_t cqe = e->setup_flags & IORING_SETUP_CQE32 ? 2 * CQE : CQE;
	uint32_t sqe = e->setup_flags & IORING_SETUP_SQE128 ? 2 * SQE : SQE;
	e->cqes_offset = params.cq_off.cqes;
	e->array_offset = params.sq_off.array;
	seen->rings_len = e->array_offset ? e->array_offset + 4 * (uint64_t)e->sq_entries
					  : e->cqes_offset + (uint64_t)e->cq_entries * cqe;
	seen->sqes_len = (uint64_t)e->sq_entries * sqe;
	return 0;
}

static int find_layout(struct file_dump *d, const struct file_view *v, struct seen_ring *seen)
{
	FermataIoUring *e = seen->ring->e;
	const struct uring_fdinfo *i = &seen->ring->info;
	uint64_t sqes = SQE * ((uint64_t)i->sq_mask + 1);
	e->sq_entries = i->sq_mask + 1;
	e->cq_entries = i->cq_mask + 1;
	e->submitted = i->submitted;
	e->completed = i->completed;
	e->setup_flags |= IORING_SETUP_SUBMIT_ALL;
	if (seen->answers[ASK_NAPI] == -EINVAL)
		e->setup_flags |= IORING_SETUP_IOPOLL;
	if (seen->entries.cqe32)
		e->setup_flags |= IORING_SETUP_CQE32;
	if (!seen->entries.n_sqes)
		e->setup_flags |= URING_SETUP_NO_SQARRAY;
	/* without an index array nothing is listed, but large rings are known by their length */
	if (seen->entries.sqe128 ||
		(!seen->entries.n_sqes && sqes >= PAGE && is_as_long(v, IORING_OFF_SQES, 2 * sqes)))
		e->setup_flags |= IORING_SETUP_SQE128;
	int r = measure(seen);
	if (r < 0)
		return fail(d->s, r, "make an io_uring to compare with");
	if (!is_as_long(v, IORING_OFF_SQES, sqes) && !is_as_long(v, IORING_OFF_SQES, 2 * sqes))
		view_block(d, v, NULL,
			"an io_uring in the program's own memory (NO_MMAP), which is not "
			"supported");
	else if (!seen->told)
		view_block(d, v, NULL,
			"an io_uring that its process has not mapped: its layout cannot be told");
	else if (seen->entries.sq_head == seen->entries.sq_tail ||
		 seen->entries.cq_head == seen->entries.cq_tail ||
		 !is_as_long(v, IORING_OFF_SQ_RING, seen->rings_len) ||
		 !is_as_long(v, IORING_OFF_SQES, seen->sqes_len))
		view_block(d, v, "mount /proc where the program sees it",
			"an io_uring whose layout cannot be told");
	return 0;
}

/* --- its contents --- */

static int copy_out(struct file_dump *d, const struct file_view *v, uint64_t offset, uint64_t len,
	ProtobufCBinaryData *ret)
{
	const uint8_t *shared = mmap(NULL, len, PROT_READ, MAP_SHARED, v->fd, (off_t)offset);
	if (shared == MAP_FAILED)
		return fail(d->s, errno, "pid %d %s: map it", v->from.task->vpid, view_label(d, v));
	size_t used = len;
	while (used && !shared[used - 1])
		used--;
	ret->data = arena_memdup(&d->s->arena, shared, used);
	ret->len = used;
	munmap((void *)(uintptr_t)shared, len);
	return 0;
}

/* A double entry of a small ring without index array shows by what lies between and behind. */
static bool looks_wide(const struct seen_ring *seen, const struct file_view *v)
{
	const FermataIoUring *e = seen->ring->e;
	bool unknown = e->setup_flags & URING_SETUP_NO_SQARRAY && SQE * e->sq_entries < PAGE;
	if (!unknown)
		return false;
	const uint8_t *sqes = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, v->fd, IORING_OFF_SQES);
	bool wide = sqes == MAP_FAILED;
	for (uint32_t at = SQE * e->sq_entries; at < PAGE && !wide; at++)
		wide = sqes[at] != 0;
	if (sqes != MAP_FAILED)
		munmap((void *)(uintptr_t)sqes, PAGE);
	return wide;
}

static int copy_contents(struct file_dump *d, const struct file_view *v, struct seen_ring *seen)
{
	FermataIoUring *e = seen->ring->e;
	int r = copy_out(d, v, IORING_OFF_SQ_RING, seen->rings_len, &e->rings);
	if (r >= 0)
		r = copy_out(d, v, IORING_OFF_SQES, seen->sqes_len, &e->sqes);
	d->predicted += e->rings.len + e->sqes.len;
	if (r >= 0 && looks_wide(seen, v))
		view_block(d, v, NULL,
			"an io_uring with large entries (SQE128) and no index array, "
			"which cannot be told from others");
	const char *unseen = r >= 0 ? uring_uses_unseen(seen) : NULL;
	if (unseen)
		view_block(d, v, NULL, "an io_uring that has used %s", unseen);
	return r;
}

static void keep_buffers(struct file_dump *d, struct ring *ring)
{
	struct arena *a = &d->s->arena;
	size_t n = ring->info.n_buffers;
	FermataIoUringBuffer *all = arena_array(a, FermataIoUringBuffer, n);
	ring->e->buffers = arena_array(a, FermataIoUringBuffer *, n);
	ring->e->n_buffers = n;
	for (size_t i = 0; i < n; i++) {
		fermata_io_uring_buffer__init(&all[i]);
		ring->e->buffers[i] = &all[i];
	}
	vec_for_each (&ring->info.buffers, b)
		if (b->index < n) {
			all[b->index].addr = b->addr;
			all[b->index].len = b->len;
		}
}

static int uring_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	struct ring *ring = arena_new(&d->s->arena, struct ring);
	struct seen_ring seen = {.ring = ring};
	*ring = (struct ring){.ino = v->st.stx_ino, .task = v->from.task, .file = f};
	ring->e = arena_new(&d->s->arena, FermataIoUring);
	fermata_io_uring__init(ring->e);
	int r = uring_kernel_tells() ? examine(d, v, &seen) : -EINVAL;
	if (r == -EINVAL) {
		view_block(d, v, NULL,
			"an io_uring, of which this kernel does not tell enough (Linux 6.9 does)");
		return 0;
	}
	if (r < 0)
		return r;
	f->link = v->link;
	*vec_push(&d->s->arena, &d->rings) = ring;
	if (uring_refuse(d, v, &seen) || uring_refuse_registered(d, v, &seen))
		return 0;
	size_t before = d->s->blockers.n;
	r = find_layout(d, v, &seen);
	if (r >= 0 && d->s->blockers.n == before)
		r = copy_contents(d, v, &seen);
	keep_buffers(d, ring);
	ring->e->file_flags = v->flags & ~(uint32_t)O_CLOEXEC;
	file_extra_make(d, f)->io_uring = ring->e;
	return r < 0 ? r : fown_dump(d, v, &ring->e->fown);
}

const struct file_type io_uring_type = {
	.type = FD_TYPES__IO_URING,
	.name = "io_uring",
	.restored = "rings with nothing in flight: indices, contents, mappings, registered "
		    "buffers, files and descriptors ([how](io_uring.md))",
	.limits = "anything in flight, SQPOLL, eventfds, provided buffers, credentials, "
		  "restrictions, memory of the program's own",
	.recognize = uring_recognize,
	.collect = uring_collect,
	.complete = io_uring_complete,
	.check = io_uring_check,
};
