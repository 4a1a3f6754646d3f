/*
 * Asynchronous I/O contexts (io_setup(2)).
 *
 * A context is known by the address of its ring, a shared mapping called /[aio].  The ring's
 * contents are ordinary pages of the image; the kernel's own write position has to be moved to
 * where it was, by as many requests (writes to /dev/null).  Those that were read before the dump
 * are read again, those that were not are not, so that the kernel's count of free slots comes out
 * right, too.  In the ring's header is the place in the task's table of contexts: contexts that
 * were destroyed are made as well and destroyed again.
 *
 * The kernel shows nobody how many requests are under way.  A dump waits until none has completed
 * for a while, and fails if one completes later: only requests that sleep throughout
 * (IOCB_CMD_POLL) can be lost.
 */
#include "mem/aio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>

#include "mem/plan.h"
#include "mem/vma.h"
#include "mem/vma_dump.h"

enum {
	MAGIC = 0xa10a10a1,
	CHUNK_MAX = 256,  /* requests in one call */
	INDEX_MAX = 1024, /* contexts of a task */
	QUIET_MS = 20,
	WAIT_MS = 2000,
};

/* struct aio_ring of fs/aio.c; events follow. */
struct ring_head {
	uint32_t id, nr, head, tail, magic, compat_features, incompat_features, header_length;
};

static uint32_t events_that_fit(uint64_t ring_len)
{
	return (uint32_t)((ring_len - sizeof(struct ring_head)) / sizeof(struct io_event));
}

/* What was asked of io_setup(), or the most that gives a ring of this size. */
static uint32_t requests_of(uint64_t ring_len)
{
	return (events_that_fit(ring_len) - 2) / 2;
}

static bool is_sane(const struct ring_head *h, uint64_t ring_len)
{
	return h->magic == MAGIC && h->compat_features == 1 && !h->incompat_features &&
	       h->header_length == sizeof(*h) && h->nr == events_that_fit(ring_len) &&
	       h->tail < h->nr && h->id < INDEX_MAX;
}

bool aio_is_ring(const struct vma_info *info)
{
	return info->shared && !strcmp(info->name, "/[aio] (deleted)");
}

/* --- dump --- */

static int read_head(struct session *s, const struct task *t, uint64_t addr, struct ring_head *ret)
{
	struct iovec here = {ret, sizeof(*ret)}, there = {(void *)(uintptr_t)addr, sizeof(*ret)};
	ssize_t n = process_vm_readv(t->pid, &here, 1, &there, 1, 0);
	return n == sizeof(*ret)
		       ? 0
		       : fail(s, n < 0 ? errno : EFAULT, "pid %d: read the AIO ring at %llx",
				 t->vpid, (unsigned long long)addr);
}

static void block_ring(
	struct session *s, const struct task *t, uint64_t addr, const char *remedy, const char *why)
{
	block(s, t->vpid, remedy, "the AIO ring at %llx (io_setup) %s", (unsigned long long)addr,
		why);
}

int aio_collect(struct vma_dump *v)
{
	MmEntry *mm = v->t->mm;
	VEC(AioRingEntry *) rings = {0};
	vec_for_each (&v->vmas, vma) {
		const VmaEntry *e = &vma->e;
		if (!(e->status & VMA_AIORING))
			continue;
		struct ring_head head = {0};
		uint64_t len = e->end - e->start;
		int r = read_head(v->s, v->t, e->start, &head);
		if (r < 0)
			return r;
		if (!is_sane(&head, len))
			block_ring(v->s, v->t, e->start, NULL, "is not whole, or overwritten");
		AioRingEntry *ring = arena_new(&v->s->arena, AioRingEntry);
		aio_ring_entry__init(ring);
		ring->id = e->start;
		ring->nr_req = requests_of(len);
		ring->ring_len = (uint32_t)len;
		*vec_push(&v->s->arena, &rings) = ring;
	}
	mm->aios = rings.v;
	mm->n_aios = rings.n;
	v->t->aio_tails = arena_array(&v->s->arena, uint32_t, rings.n);
	return 0;
}

void aio_plan(struct vma_dump *v, struct program *p)
{
	for (size_t i = 0; i < v->t->mm->n_aios; i++) {
		int step =
			program_step(p, "look for", "the context of an AIO ring", SYS_io_getevents,
				imm(v->t->mm->aios[i]->id), imm(0), imm(0), imm(0), imm(0));
		program_may_fail(p, step);
		if (!i)
			v->aio_step = step;
	}
}

/* A child of fork() has the mapping, but not the context. */
void aio_store(struct vma_dump *v, const struct program *p)
{
	for (size_t i = 0; i < v->t->mm->n_aios; i++)
		if (program_result(p, v->aio_step + (int)i) < 0)
			block_ring(v->s, v->t, v->t->mm->aios[i]->id,
				"have it unmap the ring before the dump",
				"is that of another process, inherited by fork");
}

/* 1: as they were, 0: they moved on. */
static int read_tails(struct session *s, const struct task *t, uint32_t *tails)
{
	int same = 1;
	for (size_t i = 0; i < t->mm->n_aios; i++) {
		struct ring_head head = {0};
		int r = read_head(s, t, t->mm->aios[i]->id, &head);
		if (r < 0)
			return r;
		same &= head.tail == tails[i];
		tails[i] = head.tail;
	}
	return same;
}

static int read_all_tails(struct session *s, const struct tree *tree)
{
	int same = 1;
	vec_for_each (&tree->tasks, t) {
		int r = task_lives(*t) && (*t)->mm->n_aios ? read_tails(s, *t, (*t)->aio_tails) : 1;
		if (r < 0)
			return r;
		same &= r;
	}
	return same;
}

static bool has_rings(const struct tree *tree)
{
	vec_for_each (&tree->tasks, t)
		if (task_lives(*t) && (*t)->mm && (*t)->mm->n_aios)
			return true;
	return false;
}

int aio_quiesce(struct session *s, struct tree *tree)
{
	if (!has_rings(tree))
		return 0;
	int r = read_all_tails(s, tree);
	for (int quiet = 0, waited = 0; r >= 0 && quiet < QUIET_MS; waited += QUIET_MS / 4) {
		if (waited >= WAIT_MS) {
			block(s, tree->root->vpid, "dump again when its I/O is done",
				"asynchronous requests (io_submit) go on completing");
			return 0;
		}
		nanosleep(&(struct timespec){.tv_nsec = QUIET_MS / 4 * 1000000}, NULL);
		r = read_all_tails(s, tree);
		quiet = r ? quiet + QUIET_MS / 4 : 0;
	}
	return r < 0 ? r : 0;
}

int aio_verify(struct session *s, const struct tree *tree)
{
	int r = has_rings(tree) ? read_all_tails(s, tree) : 1;
	if (r)
		return r < 0 ? r : 0;
	return fail_remedy(s, EBUSY, "dump again when the I/O of the tree is done",
		"an asynchronous request (io_submit) completed during the dump");
}

/* --- restore --- */

struct ring {
	const VmaEntry *e;
	struct ring_head head;
	uint64_t made_at; /* by io_setup(), before it is moved */
};

/* The rings of a task by their place in its table; a gap is a context that was destroyed. */
struct ring_table {
	struct ring *rings[INDEX_MAX];
	uint64_t made_at[INDEX_MAX];
	uint32_t n;
};

static const VmaEntry *vma_of(const struct task *t, uint64_t start)
{
	vec_for_each (&mem_of(t)->vmas, v)
		if (v->e->start == start && v->e->status & VMA_AIORING)
			return v->e;
	return NULL;
}

static int load_ring(
	struct session *s, struct task *t, const AioRingEntry *a, struct ring_table *table)
{
	const VmaEntry *e = vma_of(t, a->id);
	const char *page = e ? mem_image_page(s, t, e->start) : NULL;
	struct ring *ring = arena_new(&s->arena, struct ring);
	ring->e = e;
	if (page)
		memcpy(&ring->head, page, sizeof(ring->head));
	if (!page || !is_sane(&ring->head, e->end - e->start) || table->rings[ring->head.id])
		return fail(s, EBADMSG, "pid %d: the AIO ring at %llx of its image is not sane",
			t->vpid, (unsigned long long)a->id);
	uint32_t id = ring->head.id;
	table->rings[id] = ring;
	table->n = table->n > id ? table->n : id + 1;
	return 0;
}

static int load_table(struct session *s, struct task *t, struct ring_table **ret)
{
	int r = 0;
	*ret = arena_new(&s->arena, struct ring_table);
	for (size_t i = 0; i < t->mm->n_aios && r >= 0; i++)
		r = load_ring(s, t, t->mm->aios[i], *ret);
	return r;
}

int aio_check(struct session *s, struct task *t)
{
	struct ring_table *table;
	size_t n = 0;
	vec_for_each (&mem_of(t)->vmas, v)
		n += (v->e->status & VMA_AIORING) != 0;
	if (n != t->mm->n_aios)
		return fail(s, EBADMSG, "pid %d: it has %zu AIO rings, but %zu contexts", t->vpid,
			n, t->mm->n_aios);
	return n ? load_table(s, t, &table) : 0;
}

static int make_contexts(
	struct stubs *st, struct task *t, struct ring_table *table, int *ret_null_fd)
{
	struct program p;
	program_init(&p, st->s, arena_printf(&st->s->arena, "pid %d", t->vpid));
	for (uint32_t i = 0; i < table->n; i++) {
		const struct ring *ring = table->rings[i];
		uint32_t n = ring ? requests_of(ring->e->end - ring->e->start) : 1;
		program_step(&p, "make an AIO context", ring ? NULL : "that is destroyed later",
			SYS_io_setup, imm(n), inout(&p, &table->made_at[i], sizeof(uint64_t)));
	}
	int step = program_step(&p, "open", "/dev/null", SYS_openat, simm(AT_FDCWD),
		in_str(&p, "/dev/null"), imm(O_WRONLY | O_CLOEXEC));
	int r = stub_play(st, leader(t), &p);
	if (r == -EAGAIN)
		st->s->failure.remedy = "raise /proc/sys/fs/aio-max-nr";
	*ret_null_fd = (int)program_result(&p, step);
	return r;
}

/* Requests that write a byte to /dev/null, all the same one. */
struct requests {
	struct program *p;
	struct arg pointers, events;
};

static struct requests prepare_requests(struct session *s, struct program *p, int null_fd)
{
	static const uint64_t pointers[CHUNK_MAX];
	struct iocb iocb = {.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = (uint32_t)null_fd,
		.aio_nbytes = 1};
	struct requests q = {.p = p};
	struct arg request = in_copy(p, &iocb, sizeof(iocb));
	program_link(p, request, offsetof(struct iocb, aio_buf), in_copy(p, "", 1));
	q.pointers = in_copy(p, pointers, sizeof(pointers));
	for (size_t i = 0; i < CHUNK_MAX; i++)
		program_link(p, q.pointers, i * sizeof(uint64_t), request);
	struct io_event *events = arena_array(&s->arena, struct io_event, CHUNK_MAX);
	q.events = out(p, events, CHUNK_MAX * sizeof(*events));
	return q;
}

static void submit(const struct requests *q, uint64_t ctx, uint32_t n, uint32_t chunk, bool read)
{
	while (n) {
		uint32_t k = n < chunk ? n : chunk;
		int step = program_step(q->p, "move its write position", NULL, SYS_io_submit,
			imm(ctx), imm(k), q->pointers);
		program_expect(q->p, step, k);
		if (read) {
			step = program_step(q->p, "move its read position", NULL, SYS_io_getevents,
				imm(ctx), imm(k), imm(k), q->events, imm(0));
			program_expect(q->p, step, k);
		}
		n -= k;
	}
}

static void plan_ring(
	const struct requests *q, struct task *t, const struct ring *ring, uint64_t ctx)
{
	const VmaEntry *e = ring->e;
	struct program *p = q->p;
	uint64_t len = e->end - e->start;
	uint32_t nr = ring->head.nr, head = ring->head.head % nr;
	uint32_t unread = (ring->head.tail + nr - head) % nr;
	uint32_t chunk = requests_of(len) < CHUNK_MAX ? requests_of(len) : CHUNK_MAX;
	submit(q, ctx, head, chunk, /* read= */ true);
	submit(q, ctx, unread, chunk, /* read= */ false);
	struct iovec from = {(void *)(uintptr_t)e->start, len}, to = {(void *)(uintptr_t)ctx, len};
	int step = program_step(p, "fill", "the AIO ring", SYS_process_vm_writev,
		imm((uint64_t)t->vpid), in_copy(p, &from, sizeof(from)), imm(1),
		in_copy(p, &to, sizeof(to)), imm(1), imm(0));
	program_expect(p, step, (int64_t)len);
	step = program_step(p, "put in place", "the AIO ring", SYS_mremap, imm(ctx), imm(len),
		imm(len), imm(MREMAP_MAYMOVE | MREMAP_FIXED), imm(e->start));
	program_expect(p, step, (int64_t)e->start);
	if (e->prot != (PROT_READ | PROT_WRITE))
		program_step(p, "protect", "the AIO ring", SYS_mprotect, imm(e->start), imm(len),
			imm(e->prot));
}

static int fill_contexts(
	struct stubs *st, struct task *t, const struct ring_table *table, int null_fd)
{
	struct program p;
	program_init(&p, st->s, arena_printf(&st->s->arena, "pid %d", t->vpid));
	struct requests q = prepare_requests(st->s, &p, null_fd);
	for (uint32_t i = 0; i < table->n; i++)
		if (table->rings[i])
			plan_ring(&q, t, table->rings[i], table->made_at[i]);
	for (uint32_t i = 0; i < table->n; i++)
		if (!table->rings[i])
			program_step(&p, "destroy", "an AIO context", SYS_io_destroy,
				imm(table->made_at[i]));
	program_step(&p, "close", "/dev/null", SYS_close, imm((uint64_t)null_fd));
	return stub_play(st, leader(t), &p);
}

int aio_restore(struct stubs *st, struct task *t)
{
	if (!t->mm->n_aios)
		return 0;
	struct ring_table *table;
	int null_fd = -1;
	int r = load_table(st->s, t, &table);
	if (r >= 0)
		r = make_contexts(st, t, table, &null_fd);
	return r < 0 ? r : fill_contexts(st, t, table, null_fd);
}
