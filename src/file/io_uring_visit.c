/*
 * io_uring: what only the tasks themselves can tell, asked in the visit.
 *
 * Three things the kernel shows to nobody else.  Which thread a ring belongs to that was set up
 * with IORING_SETUP_SINGLE_ISSUER: every other one gets EEXIST.  Which rings a thread has among
 * its registered descriptors: io_uring_enter(2) by index fails unless there is one.  And the
 * sizes of entries: fdinfo shows an entry of each kind as soon as one stands between head and tail.
 * If none does, the task moves both for the moment of reading; being one program, this happens
 * wholly or not at all if the controller dies, and nobody submits meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/program.h"
#include "file/io_uring.h"
#include "kernel/proc_fdinfo.h"
#include "mem/vma.h"
#include "task/aspect.h"

extern const struct aspect io_uring_aspect;

enum {
	INDICES = 16,	 /* IO_RINGFD_REG_MAX */
	GROUPS = 64,	 /* of provided buffers, to be asked for */
	TEXT_MAX = 8192, /* some 50 entries; more of them tell their sizes by that of the mapping */
	READS = 6,	 /* fdinfo is empty while anyone else holds the ring's lock */
};

#ifndef IORING_ENTER_REGISTERED_RING
#define IORING_ENTER_REGISTERED_RING (1U << 4)
#endif

const unsigned uring_ask_op[N_URING_ASKS] = {
	[ASK_PROBE] = IORING_REGISTER_PROBE,
	[ASK_RESTRICTIONS] = IORING_REGISTER_RESTRICTIONS,
	[ASK_EVENTFD] = IORING_REGISTER_EVENTFD,
	[ASK_NAPI] = URING_REGISTER_NAPI,
	[ASK_REGION] = URING_REGISTER_MEM_REGION,
};
void *const uring_ask_arg = (void *)1;

/* Numbers of steps. */
struct ring_steps {
	int ask[N_URING_ASKS], group[GROUPS];
	int read[READS]; /* -1: the entries need not be looked at */
	char *text[READS];
};

struct asked {
	int index[INDICES];
	int n_indices;
	VEC(struct ring_steps) rings; /* as in rings_told */
};

static int add_ring(struct session *s, struct task *t, int dir, const char *name)
{
	struct stat st;
	if (fstatat(dir, name, &st, 0) < 0)
		return 0; /* closed meanwhile by a task outside of the tree */
	struct rings_told *told = t->rings;
	*vec_push(&s->arena, &told->rings) =
		(struct ring_told){.fd = atoi(name), .ino = st.st_ino, .text = ""};
	return 0;
}

static int find_rings(struct session *s, struct task *t)
{
	t->rings = arena_new(&s->arena, struct rings_told);
	_cleanup_close_ int fd = proc_open_pid(s, t->pid, "fd", O_RDONLY | O_DIRECTORY);
	int copy = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	_cleanup_dir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir)
		return fail(s, fd < 0 ? fd : errno, "pid %d: list its descriptors", t->vpid);
	struct dirent *entry;
	int r = 0, err = 0;
	while (r >= 0 && (entry = next_entry(dir, &err))) {
		char text[32];
		ssize_t n = readlinkat(fd, entry->d_name, text, sizeof(text));
		if (n == (ssize_t)strlen(URING_LINK) && memcmp(text, URING_LINK, (size_t)n) == 0)
			r = add_ring(s, t, fd, entry->d_name);
	}
	return err < 0 ? fail(s, err, "pid %d: list its descriptors", t->vpid) : r;
}

/* --- what the program says --- */

static const VmaEntry *find_rings_vma(const struct task *t, uint64_t ino)
{
	for (size_t i = 0; i < t->mm->n_vmas; i++) {
		const VmaEntry *e = t->mm->vmas[i];
		if (e->status & VMA_IO_URING && e->shmid == ino &&
			(e->pgoff == IORING_OFF_SQ_RING || e->pgoff == IORING_OFF_CQ_RING))
			return e;
	}
	return NULL;
}

/* *addr += n in one call that does nothing else; the word is nobody's futex. */
static void plan_add(struct program *p, const char *what, uint64_t addr, int n)
{
	program_may_fail(
		p, program_step(p, "move", what, SYS_futex, imm(addr),
			   imm(FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG), imm(0), imm(0), imm(addr),
			   imm((uint32_t)FUTEX_OP(FUTEX_OP_ADD, n, FUTEX_OP_CMP_EQ, 0))));
}

static void plan_entries(struct session *s, struct program *p, const struct ring_told *ring,
	const struct uring_fdinfo *info, uint64_t rings, struct ring_steps *steps)
{
	struct uring_layout at;
	if (uring_layout(&at) < 0)
		return;
	bool no_sqe = info->sq_head == info->sq_tail, no_cqe = info->cq_head == info->cq_tail;
	char *path = arena_printf(&s->arena, "/proc/self/fdinfo/%d", ring->fd);
	if (no_sqe)
		plan_add(p, "the tail of submissions", rings + at.sq_tail, 1);
	if (no_cqe)
		plan_add(p, "the head of completions", rings + at.cq_head, -1);
	int fd = program_step(p, "open", path, SYS_openat, simm(AT_FDCWD), in_str(p, path),
		imm(O_RDONLY | O_CLOEXEC));
	program_may_fail(p, fd);
	for (int i = 0; i < READS; i++) {
		if (i) /* whoever holds it may wait for this processor */
			program_may_fail(p, program_step(p, "wait for", path, SYS_sched_yield));
		steps->text[i] = arena_alloc(&s->arena, TEXT_MAX + 1);
		steps->read[i] = program_may_fail(
			p, program_step(p, "read", path, SYS_pread64, result_of(fd),
				   out(p, steps->text[i], TEXT_MAX), imm(TEXT_MAX), imm(0)));
	}
	program_may_fail(p, program_step(p, "close", path, SYS_close, result_of(fd)));
	if (no_cqe)
		plan_add(p, "the head of completions back", rings + at.cq_head, 1);
	if (no_sqe)
		plan_add(p, "the tail of submissions back", rings + at.sq_tail, -1);
}

static void plan_look(struct session *s, struct thread *th, const struct ring_told *ring,
	struct program *p, struct ring_steps *steps)
{
	struct uring_fdinfo info;
	const VmaEntry *rings = find_rings_vma(th->task, ring->ino);
	if (rings && uring_fdinfo_read(s, th->task->pid, ring->fd, &info) >= 0)
		plan_entries(s, p, ring, &info, rings->start, steps);
}

static void plan_asks(struct program *p, const struct ring_told *ring, struct ring_steps *steps)
{
	for (int i = 0; i < N_URING_ASKS; i++)
		steps->ask[i] = program_may_fail(
			p, program_step(p, "ask", "an io_uring", SYS_io_uring_register,
				   imm((uint64_t)ring->fd), imm(uring_ask_op[i]),
				   imm((uintptr_t)uring_ask_arg), imm(1)));
	struct uring_group *groups = arena_array(&p->s->arena, struct uring_group, GROUPS);
	struct arg all = in(p, groups, GROUPS * sizeof(*groups));
	for (uint32_t i = 0; i < GROUPS; i++) {
		groups[i].group = i;
		steps->group[i] = program_may_fail(p,
			program_step(p, "ask for buffers of", "an io_uring", SYS_io_uring_register,
				imm((uint64_t)ring->fd), imm(URING_REGISTER_PBUF_STATUS),
				inside(all, i * sizeof(*groups)), imm(1)));
	}
	/* results that wait for their thread to fetch them (IORING_SETUP_DEFER_TASKRUN) */
	program_may_fail(p, program_step(p, "fetch results of", "an io_uring", SYS_io_uring_enter,
				    imm((uint64_t)ring->fd), imm(0), imm(0),
				    imm(IORING_ENTER_GETEVENTS), imm(0), imm(0)));
}

static int uring_collect(struct session *s, struct thread *th, struct program *p, void **state)
{
	struct asked *a = *state = arena_new(&s->arena, struct asked);
	bool lead = th == leader(th->task);
	int r = lead && th->task->maps_rings ? find_rings(s, th->task) : 0;
	const struct rings_told *told = th->task->rings;
	/* the first free index is taken, so a thread that has none at 0 and no ring has none */
	a->n_indices = told ? INDICES : 1;
	for (int i = 0; i < a->n_indices; i++)
		a->index[i] =
			program_may_fail(p, program_step(p, "look for", "a registered io_uring",
						    SYS_io_uring_enter, imm((uint64_t)i), imm(0),
						    imm(0), imm(IORING_ENTER_REGISTERED_RING)));
	for (size_t i = 0; told && i < told->rings.n && r >= 0; i++) {
		struct ring_steps *steps = vec_push(&s->arena, &a->rings);
		*steps = (struct ring_steps){.read = {-1, -1, -1, -1, -1, -1}};
		plan_asks(p, &told->rings.v[i], steps);
		if (lead)
			plan_look(s, th, &told->rings.v[i], p, steps);
	}
	return r;
}

/* --- what it found --- */

static void store_text(struct session *s, const struct program *p, const struct ring_steps *steps,
	struct ring_told *ring)
{
	for (int i = 0; i < READS; i++) {
		int64_t n = steps->read[i] < 0 ? -1 : program_result(p, steps->read[i]);
		struct proc_fdinfo text;
		struct uring_fdinfo info;
		if (n <= 0 || proc_fdinfo_parse(&s->arena, steps->text[i], (size_t)n, &text) < 0)
			continue;
		ring->text = text.extra;
		if (uring_fdinfo_parse(&s->arena, text.extra, text.extra_len, &info) >= 0)
			return;
	}
}

static int uring_store(struct session *s, struct thread *th, const struct program *p, void *state)
{
	const struct asked *a = state;
	struct rings_told *told = th->task->rings;
	for (int i = 0; i < a->n_indices; i++) {
		int64_t r = program_result(p, a->index[i]);
		if (r < 0 && r != -EBADFD) /* EBADFD: there is one, not enabled */
			continue;
		if (!told)
			told = th->task->rings = arena_new(&s->arena, struct rings_told);
		*vec_push(&s->arena, &told->indices) = (struct ring_index){th, (uint32_t)i};
	}
	for (size_t i = 0; i < a->rings.n; i++) {
		const struct ring_steps *steps = &a->rings.v[i];
		struct ring_told *ring = &told->rings.v[i];
		store_text(s, p, steps, ring);
		if (program_result(p, steps->ask[ASK_PROBE]) == -EEXIST)
			continue;
		ring->issuer = th;
		for (int k = 0; k < N_URING_ASKS; k++)
			ring->answers[k] = program_result(p, steps->ask[k]);
		for (int k = 0; k < GROUPS; k++)
			ring->provided |= program_result(p, steps->group[k]) != -ENOENT;
	}
	return 0;
}

const struct aspect io_uring_aspect = {
	.name = "io_uring",
	.collect = uring_collect,
	.store = uring_store,
};
