/*
 * io_uring: the restore of rings with nothing in flight.
 *
 * A ring cannot be passed on by SCM_RIGHTS, and one of a single issuer belongs to the thread that
 * made it.  So a thread of a task that has it makes it, once threads and tables are complete;
 * other tables take it from there by pidfd_getfd(2).  A new ring starts counting at 0 and the
 * kernel keeps its counts to itself: as many operations that do nothing are submitted as the old
 * one had (some 70 ns each).  The kernel plans where results go from the head of completions it
 * sees, so this never passes the head of the image.  Then the contents are put back, the ring is
 * registered what it had, and mapped wherever it was (io_uring_map.c).
 */
#include "file/io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/syscalls.h"
#include "mem/vma.h"

enum {
	ENTRIES_MAX = 32768, /* IORING_MAX_ENTRIES */
	SQE = sizeof(struct io_uring_sqe),
	CQE = sizeof(struct io_uring_cqe),
	ROUNDS_MAX = 512, /* calls of one program */
};

#ifndef IORING_REGISTER_RING_FDS
#define IORING_REGISTER_RING_FDS 20
#endif

/* --- is the image sane --- */

static const uint32_t restorable = IORING_SETUP_IOPOLL | IORING_SETUP_SUBMIT_ALL |
				   IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SQE128 |
				   IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER |
				   IORING_SETUP_DEFER_TASKRUN | URING_SETUP_NO_SQARRAY;

static bool power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

static uint64_t rings_len(const FermataIoUring *e)
{
	uint32_t cqe = e->setup_flags & IORING_SETUP_CQE32 ? 2 * CQE : CQE;
	return e->array_offset ? e->array_offset + 4 * (uint64_t)e->sq_entries
			       : e->cqes_offset + (uint64_t)e->cq_entries * cqe;
}

static uint64_t sqes_len(const FermataIoUring *e)
{
	return (uint64_t)e->sq_entries * (e->setup_flags & IORING_SETUP_SQE128 ? 2 * SQE : SQE);
}

static bool is_sane(const struct file_set *f, const FermataIoUring *e)
{
	for (size_t i = 0; i < e->n_files; i++)
		if (e->files[i] && !file_find(f, e->files[i]))
			return false;
	return power_of_two(e->sq_entries) && e->sq_entries <= ENTRIES_MAX &&
	       power_of_two(e->cq_entries) && e->cq_entries <= 2 * ENTRIES_MAX &&
	       e->cq_entries >= e->sq_entries && e->submitted == e->completed &&
	       !(e->setup_flags & ~restorable) &&
	       !(e->setup_flags & IORING_SETUP_SINGLE_ISSUER) == !e->has_issuer &&
	       e->cqes_offset < 4096 && e->rings.len <= rings_len(e) && e->sqes.len <= sqes_len(e);
}

static struct thread *find_thread(const struct file_set *f, uint32_t vtid)
{
	vec_for_each (&f->tree->tasks, t)
		vec_for_each (&(*t)->threads, th)
			if ((uint32_t)(*th)->vtid == vtid && task_lives(*t))
				return *th;
	return NULL;
}

/* It must not be complete before its rings are made. */
static void need_thread(const struct file_set *f, uint32_t vtid)
{
	struct thread *th = find_thread(f, vtid);
	if (th)
		th->makes_files = true;
}

int io_uring_check(struct file_set *f, struct open_file *o)
{
	const FermataIoUring *e = o->extra ? o->extra->io_uring : NULL;
	if (!e)
		return fail(f->s, EBADMSG,
			"file %u: the state of this io_uring is not in the images", o->id);
	if (!is_sane(f, e))
		return fail(
			f->s, EBADMSG, "file %u: the state of this io_uring is not sane", o->id);
	o->flags = e->file_flags;
	o->fown = e->fown;
	o->made_inside = true;
	*vec_push(&f->s->arena, &f->rings) = o;
	need_thread(f, e->has_issuer ? e->issuer : 0);
	for (size_t i = 0; i < e->n_indices; i++)
		need_thread(f, e->indices[i]->tid);
	return 0;
}

/* --- making it --- */

struct making {
	struct file_set *f;
	struct stubs *st;
	struct open_file *o;
	const FermataIoUring *e;
	struct fd_table *table; /* where it is made */
	struct fd_slot *slot; /* the first of the table that is to be it */
	struct thread *maker;
	uint32_t number; /* in that table */
	struct io_uring_params params;
	char *rings; /* the controller's mapping */
	struct program p;
};

static int play(struct making *m, struct thread *th)
{
	int r = stub_play(m->st, th, &m->p);
	program_reset(&m->p);
	return r;
}

static void begin(struct making *m, const struct thread *th)
{
	m->p.about = arena_printf(&m->f->s->arena, "pid %d", th->vtid);
}

/*
 * The lowest number above after that is free in a table, which has all files but those that come
 * late, and the services of the stub.
 */
static uint32_t free_number(const struct stubs *st, const struct fd_table *t, int64_t after)
{
	uint32_t number = (uint32_t)(after + 1), before;
	do {
		before = number;
		vec_for_each (&t->slots, slot) { /* ascending */
			bool there = slot->file->made_inside ? slot->made : !slot->file->late;
			number += there && slot->fd == number;
		}
		for (int i = 0; i < STUB_SERVICES; i++)
			number += number == (uint32_t)st->services[i];
	} while (number != before);
	return number;
}

static struct fd_slot *next_slot(struct fd_table *t, const struct open_file *o)
{
	vec_for_each (&t->slots, slot)
		if (slot->file == o && !slot->made)
			return slot;
	return NULL;
}

/* Moves it from the number where the kernel put it. */
static void plan_settle(struct making *m, struct fd_slot *slot, uint32_t landed)
{
	if (landed != slot->fd) {
		program_step(&m->p, "install", "io_uring", SYS_dup3, imm(landed), imm(slot->fd),
			imm(slot->close_on_exec ? O_CLOEXEC : 0));
		program_step(&m->p, "close", NULL, SYS_close, imm(landed));
	} else if (!slot->close_on_exec) {
		program_step(&m->p, "keep across exec", NULL, SYS_fcntl, imm(slot->fd),
			imm(F_SETFD), imm(0));
	}
	slot->made = true;
}

static void plan_dups(struct making *m, struct fd_table *t, uint32_t from)
{
	for (struct fd_slot *slot; (slot = next_slot(t, m->o)); slot->made = true)
		program_step(&m->p, "install", "io_uring", SYS_dup3, imm(from), imm(slot->fd),
			imm(slot->close_on_exec ? O_CLOEXEC : 0));
}

/* Who makes it: the issuer, or whoever has it first. */
static int find_maker(struct making *m)
{
	m->maker = m->e->has_issuer ? find_thread(m->f, m->e->issuer) : NULL;
	m->table = m->maker ? m->maker->task->files : NULL;
	for (size_t i = 0; i < m->f->tables.n && !m->e->has_issuer && !m->table; i++)
		if (next_slot(m->f->tables.v[i], m->o))
			m->table = m->f->tables.v[i];
	m->slot = m->table ? next_slot(m->table, m->o) : NULL;
	if (!m->slot)
		return fail(m->f->s, EBADMSG, "file %u: nobody has this io_uring who can make it",
			m->o->id);
	if (!m->maker)
		m->maker = leader(m->table->task);
	return 0;
}

static int make(struct making *m)
{
	const FermataIoUring *e = m->e;
	struct fd_slot *slot = m->slot;
	uint32_t landed = free_number(m->st, m->table, -1);
	m->params = (struct io_uring_params){
		.flags = e->setup_flags | IORING_SETUP_CQSIZE,
		.cq_entries = e->cq_entries,
	};
	m->number = slot->fd;
	begin(m, m->maker);
	int step = program_step(&m->p, "make", "io_uring", SYS_io_uring_setup, imm(e->sq_entries),
		inout(&m->p, &m->params, sizeof(m->params)));
	program_expect(&m->p, step, landed);
	plan_settle(m, slot, landed);
	plan_dups(m, m->table, m->number);
	int r = play(m, m->maker);
	m->o->holder = m->table;
	m->o->holder_fd = m->number;
	if (r < 0 || m->st->explain)
		return r;
	if (m->params.sq_off.array != e->array_offset || m->params.cq_off.cqes != e->cqes_offset)
		return fail(m->f->s, EOPNOTSUPP,
			"pid %d fd %u: this kernel lays out an io_uring otherwise than that of the "
			"dump",
			m->table->task->vpid, m->number);
	return 0;
}

/* Another table gets it from the first. */
static int pass_on(struct making *m, struct fd_table *t)
{
	struct fd_slot *slot = next_slot(t, m->o);
	struct thread *th = leader(t->task);
	uint32_t pidfd = free_number(m->st, t, -1);
	uint32_t landed = free_number(m->st, t, pidfd);
	begin(m, th);
	program_expect(&m->p,
		program_step(&m->p, "open", "who has the io_uring", SYS_pidfd_open,
			imm((uint64_t)m->table->task->vpid), imm(0)),
		pidfd);
	program_expect(&m->p,
		program_step(&m->p, "take", "io_uring", SYS_pidfd_getfd, imm(pidfd), imm(m->number),
			imm(0)),
		landed);
	program_step(&m->p, "close", NULL, SYS_close, imm(pidfd));
	plan_settle(m, slot, landed);
	plan_dups(m, t, slot->fd);
	return play(m, th);
}

/* --- winding it forward --- */

static uint32_t *word(const struct making *m, uint32_t offset)
{
	return (uint32_t *)(void *)(m->rings + offset);
}

static uint32_t image_word(const struct making *m, uint32_t offset)
{
	uint32_t value = 0;
	if (m->e->rings.len > offset)
		memcpy(&value, m->e->rings.data + offset,
			m->e->rings.len - offset < 4 ? m->e->rings.len - offset : 4);
	return value;
}

static int submit(struct making *m, uint32_t n, uint32_t rounds)
{
	bool by_maker = m->e->has_issuer;
	for (uint32_t i = 0; i < rounds; i++) {
		int r = 0;
		if (by_maker)
			program_expect(&m->p,
				program_step(&m->p, "wind forward", "io_uring", SYS_io_uring_enter,
					imm(m->number), imm(n), imm(0), imm(0), imm(0), imm(0)),
				n);
		else
			r = uring_enter(m->o->fd, n, 0);
		if (!by_maker && r != (int)n)
			return fail(m->f->s, r < 0 ? r : EIO,
				"pid %d fd %u: wind the io_uring forward", m->table->task->vpid,
				m->number);
	}
	return by_maker ? play(m, m->maker) : 0;
}

static int wind(struct making *m)
{
	const FermataIoUring *e = m->e;
	uint32_t target = e->submitted, done = 0;
	uint32_t final_head = image_word(m, m->params.cq_off.head), queued = target - final_head;
	if (e->array_offset)
		for (uint32_t i = 0; i < e->sq_entries; i++)
			word(m, e->array_offset)[i] = i;
	__atomic_store_n(word(m, m->params.sq_off.tail), target, __ATOMIC_RELEASE);
	begin(m, m->maker);
	while (done < target) {
		uint32_t n = target - done < e->sq_entries ? target - done : e->sq_entries;
		/* counts that have wrapped around may end before the head of the image was passed
		 */
		uint32_t head = target >= queued && done < final_head ? done : final_head;
		uint32_t rounds = (e->cq_entries - (done - head)) / n;
		if (rounds > (target - done) / n)
			rounds = (target - done) / n;
		if (rounds > ROUNDS_MAX)
			rounds = ROUNDS_MAX;
		__atomic_store_n(word(m, m->params.cq_off.head), head, __ATOMIC_RELEASE);
		int r = rounds ? submit(m, n, rounds) : -EBADMSG;
		if (r < 0)
			return r;
		done += n * rounds;
	}
	if (*word(m, m->params.sq_off.head) != target || *word(m, m->params.cq_off.tail) != target)
		return fail(m->f->s, EIO, "pid %d fd %u: the io_uring did not count %u operations",
			m->table->task->vpid, m->number, target);
	return 0;
}

/* What the kernel wrote itself must be what the image has. */
static int check_words(const struct making *m)
{
	const struct io_sqring_offsets *sq = &m->params.sq_off;
	const struct io_cqring_offsets *cq = &m->params.cq_off;
	const uint32_t same[] = {sq->ring_mask, sq->ring_entries, cq->ring_mask, cq->ring_entries};
	bool sane = image_word(m, sq->head) == m->e->submitted &&
		    image_word(m, cq->tail) == m->e->completed &&
		    m->e->completed - image_word(m, cq->head) <= m->e->cq_entries;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		sane &= image_word(m, same[i]) == *word(m, same[i]);
	return sane ? 0
		    : fail(m->f->s, EBADMSG, "file %u: the contents of this io_uring are not sane",
			      m->o->id);
}

static void put_back(char *shared, uint64_t len, const ProtobufCBinaryData *data)
{
	if (data->len)
		memcpy(shared, data->data, data->len);
	memset(shared + data->len, 0, len - data->len);
}

static int fill(struct making *m)
{
	uint64_t len = rings_len(m->e), n_sqes = sqes_len(m->e);
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED;
	int fd;
	int r = file_get(m->f, m->o, &fd);
	if (r < 0)
		return r;
	m->rings = mmap(NULL, len, prot, flags, fd, IORING_OFF_SQ_RING);
	char *sqes = mmap(NULL, n_sqes, prot, flags, fd, IORING_OFF_SQES);
	if (m->rings == MAP_FAILED || sqes == MAP_FAILED)
		r = fail(m->f->s, errno, "file %u: map the io_uring", m->o->id);
	if (r >= 0)
		r = check_words(m);
	if (r >= 0)
		r = wind(m);
	if (r >= 0) {
		put_back(m->rings, len, &m->e->rings);
		put_back(sqes, n_sqes, &m->e->sqes);
	}
	if (m->rings != MAP_FAILED)
		munmap(m->rings, len);
	if (sqes != MAP_FAILED)
		munmap(sqes, n_sqes);
	return r;
}

/* --- what it had --- */

static int register_files(struct making *m)
{
	int32_t *fds = arena_array(&m->f->s->arena, int32_t, m->e->n_files);
	for (size_t i = 0; i < m->e->n_files; i++) {
		const struct open_file *o = m->e->files[i] ? file_find(m->f, m->e->files[i]) : NULL;
		fds[i] = o ? (int32_t)fd_number_of(m->table, o) : -1;
		if (o && fds[i] < 0)
			return fail(m->f->s, EBADMSG,
				"file %u: pid %d has not the file %u that is registered", m->o->id,
				m->table->task->vpid, o->id);
	}
	program_step(&m->p, "register", "files", SYS_io_uring_register, imm(m->number),
		imm(IORING_REGISTER_FILES), in(&m->p, fds, m->e->n_files * sizeof(*fds)),
		imm(m->e->n_files));
	return 0;
}

static void register_buffers(struct making *m)
{
	struct iovec *all = arena_array(&m->f->s->arena, struct iovec, m->e->n_buffers);
	for (size_t i = 0; i < m->e->n_buffers; i++)
		all[i] = (struct iovec){
			(void *)(uintptr_t)m->e->buffers[i]->addr, m->e->buffers[i]->len};
	program_step(&m->p, "register", "buffers", SYS_io_uring_register, imm(m->number),
		imm(IORING_REGISTER_BUFFERS), in(&m->p, all, m->e->n_buffers * sizeof(*all)),
		imm(m->e->n_buffers));
}

static int register_all(struct making *m)
{
	begin(m, m->maker);
	int r = m->e->n_files ? register_files(m) : 0;
	if (r >= 0 && m->e->n_buffers)
		register_buffers(m);
	return r < 0 || !m->p.steps.n ? r : play(m, m->maker);
}

static int register_index(struct making *m, const FermataIoUringIndex *x)
{
	struct thread *th = find_thread(m->f, x->tid);
	int64_t number = th ? fd_number_of(th->task->files, m->o) : -1;
	if (number < 0)
		return fail(m->f->s, EBADMSG, "file %u: thread %u cannot have this io_uring",
			m->o->id, x->tid);
	struct io_uring_rsrc_update update = {.offset = x->index, .data = (uint64_t)number};
	begin(m, th);
	int step = program_step(&m->p, "register", "io_uring for this thread",
		SYS_io_uring_register, imm((uint64_t)number), imm(IORING_REGISTER_RING_FDS),
		in(&m->p, &update, sizeof(update)), imm(1));
	program_expect(&m->p, step, 1);
	return play(m, th);
}

static int restore_one(struct making *m)
{
	int r = find_maker(m);
	if (r >= 0)
		r = make(m);
	if (r >= 0 && !m->st->explain)
		r = fill(m);
	if (r >= 0)
		r = register_all(m);
	for (size_t i = 0; i < m->f->tables.n && r >= 0; i++)
		if (next_slot(m->f->tables.v[i], m->o))
			r = pass_on(m, m->f->tables.v[i]);
	for (size_t i = 0; i < m->e->n_indices && r >= 0; i++)
		r = register_index(m, m->e->indices[i]);
	if (m->o->fd >= 0)
		close(take_fd(&m->o->fd));
	return r;
}

int io_uring_restore_all(struct file_set *f, struct stubs *st)
{
	int r = 0;
	for (size_t i = 0; i < f->rings.n && r >= 0; i++) {
		struct open_file *o = f->rings.v[i];
		struct making m = {.f = f, .st = st, .o = o, .e = o->extra->io_uring};
		program_init(&m.p, f->s, "");
		r = restore_one(&m);
	}
	return r < 0 ? r : io_uring_map_all(f, st);
}
