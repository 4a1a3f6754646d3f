/*
 * Seccomp: strict mode, and chains of filters, each inherited from the thread before (seccomp(2)).
 *
 * PTRACE_SECCOMP_GET_FILTER hands out the programs of a thread, index 0 being the oldest one;
 * PTRACE_SECCOMP_GET_METADATA their flags.  All filters of the tree are one table, seccomp.img.
 * There a chain starts at its oldest filter, and `prev` leads to the filter installed after it.
 *
 * If all threads of a process have the same chain, only the leader's is stored, with TSYNC in its
 * flags: the leader's install puts the other threads, which exist by then, under it.  Otherwise
 * each has its own.
 *
 * What must hold: filters are installed before credentials are dropped, and the tracer suspends
 * seccomp (PTRACE_O_SUSPEND_SECCOMP) for all that the agent still has to do.
 */
#include "task/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "image/codec.h"
#include "kernel/seccomp_filter.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect seccomp_aspect;

enum { MAX_INSTRUCTIONS = 4096 }; /* BPF_MAXINSNS */

struct filter {
	struct sock_filter *code;
	size_t n_instructions;
	uint32_t flags;
};

/* Oldest first. */
typedef VEC(struct filter) filter_vec;

struct seccomp_table {
	VEC(SeccompFilter *) filters;
};

/* What the image says of a thread. */
struct image_seccomp {
	uint32_t mode, index, extra_flags;
};

static struct seccomp_table *table_of(struct session *s, struct tree *tree)
{
	if (!tree->seccomp)
		tree->seccomp = arena_new(&s->arena, struct seccomp_table);
	return tree->seccomp;
}

static int read_filter(struct session *s, struct thread *t, uint64_t index, struct filter *f)
{
	long n = ptrace(PTRACE_SECCOMP_GET_FILTER, t->tid, index, NULL);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n > 0) {
		f->code = arena_array(&s->arena, struct sock_filter, n);
		f->n_instructions = (size_t)n;
		n = ptrace(PTRACE_SECCOMP_GET_FILTER, t->tid, index, f->code);
	}
	if (n < 0)
		return fail_remedy(s, errno,
			"CAP_SYS_ADMIN, and no seccomp filter on this command itself",
			"pid %d thread %d: read seccomp filter %llu", t->task->vpid, t->vtid,
			(unsigned long long)index);
	struct __ptrace_seccomp_metadata meta = {.filter_off = index};
	if (ptrace(PTRACE_SECCOMP_GET_METADATA, t->tid, sizeof(meta), &meta) >= 0)
		f->flags = (uint32_t)meta.flags;
	return 1;
}

static int read_chain(struct session *s, struct thread *t, filter_vec *chain)
{
	if (t->status.seccomp != SECCOMP_MODE_FILTER)
		return 0;
	for (;;) {
		struct filter f = {0};
		int r = read_filter(s, t, chain->n, &f);
		if (r <= 0)
			return r;
		*vec_push(&s->arena, chain) = f;
	}
}

static bool same_chain(const filter_vec *a, const filter_vec *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].n_instructions != b->v[i].n_instructions ||
			a->v[i].flags != b->v[i].flags ||
			memcmp(a->v[i].code, b->v[i].code,
				a->v[i].n_instructions * sizeof(struct sock_filter)))
			return false;
	return true;
}

static bool hands_calls_over(const struct filter *f)
{
	for (size_t i = 0; i < f->n_instructions; i++)
		if (f->code[i].code == (BPF_RET | BPF_K) &&
			(f->code[i].k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF)
			return true;
	return false;
}

/* Appends a chain newest first and returns the index of its oldest filter. */
static uint32_t add_chain(
	struct session *s, struct thread *t, const filter_vec *chain, uint32_t extra_flags)
{
	struct seccomp_table *table = table_of(s, t->task->tree);
	for (size_t i = chain->n; i-- > 0;) {
		const struct filter *f = &chain->v[i];
		if (hands_calls_over(f))
			log_warn(s,
				"pid %d thread %d: a seccomp filter asks a supervisor; what it "
				"would ask "
				"about fails with ENOSYS after a restore",
				t->task->vpid, t->vtid);
		SeccompFilter *e = arena_new(&s->arena, SeccompFilter);
		seccomp_filter__init(e);
		e->filter.data = (uint8_t *)f->code;
		e->filter.len = f->n_instructions * sizeof(*f->code);
		e->has_flags = true;
		e->flags = f->flags | extra_flags;
		e->has_prev = i + 1 < chain->n;
		e->prev = e->has_prev ? (uint32_t)table->filters.n - 1 : 0;
		*vec_push(&s->arena, &table->filters) = e;
	}
	return (uint32_t)table->filters.n - 1;
}

/* What the agent and its stub call when the tracer is gone; the last two for the sake of other threads. */
static bool may_clean_up(const struct thread *t)
{
	static const uint32_t calls[] = {SYS_munmap, SYS_rt_sigprocmask, SYS_mprotect, SYS_nanosleep};
	size_t n = t->task->threads.n > 1 ? 4 : 2;
	const filter_vec *chain = t->filters;
	for (size_t i = 0; i < n; i++)
		vec_for_each (chain, f)
			if (!seccomp_filter_passes(f->code, f->n_instructions, calls[i]))
				return false;
	return chain->n;
}

static int seccomp_inspect(struct session *s, struct thread *t, void **state)
{
	(void)state;
	if (!t->status.seccomp)
		return 0;
	t->filters = arena_new(&s->arena, filter_vec);
	t->core->thread_core->has_seccomp_mode = true;
	t->core->thread_core->seccomp_mode = (SeccompMode)t->status.seccomp;
	int r = read_chain(s, t, t->filters);
	t->may_clean_up = r >= 0 && may_clean_up(t);
	return r;
}

static bool all_threads_share(const struct task *t)
{
	const filter_vec *first = t->threads.v[0]->filters;
	vec_for_each (&t->threads, th)
		if (!(*th)->filters || !same_chain((*th)->filters, first))
			return false;
	return true;
}

static void collect_task(struct session *s, struct task *t)
{
	bool shared = leader(t)->filters && all_threads_share(t);
	vec_for_each (&t->threads, th) {
		ThreadCoreEntry *core = (*th)->core->thread_core;
		if (!core->has_seccomp_mode || core->seccomp_mode != SECCOMP_MODE_FILTER)
			continue;
		if (shared && *th != leader(t)) {
			core->has_seccomp_mode = false;
			continue;
		}
		core->has_seccomp_filter = true;
		core->seccomp_filter = add_chain(
			s, *th, (*th)->filters, shared ? SECCOMP_FILTER_FLAG_TSYNC : 0);
	}
}

void seccomp_collect(struct session *s, struct tree *tree)
{
	vec_for_each (&tree->tasks, t)
		if (task_lives(*t))
			collect_task(s, *t);
}

int seccomp_write_image(struct session *s, const struct tree *tree)
{
	const struct seccomp_table *table = tree->seccomp;
	if (!table || !table->filters.n)
		return 0;
	SeccompEntry e = SECCOMP_ENTRY__INIT;
	e.n_seccomp_filters = table->filters.n;
	e.seccomp_filters = table->filters.v;
	return image_write_one(s, IMG_SECCOMP, 0, &e.base);
}

int seccomp_load_image(struct session *s, struct tree *tree)
{
	ProtobufCMessage *m = NULL;
	int r = image_read_one(s, IMG_SECCOMP, 0, &m);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	const SeccompEntry *e = (const SeccompEntry *)m;
	struct seccomp_table *table = table_of(s, tree);
	for (size_t i = 0; i < e->n_seccomp_filters; i++)
		*vec_push(&s->arena, &table->filters) = e->seccomp_filters[i];
	return 0;
}

/* Old images tell it once per process. */
static struct image_seccomp image_of(const struct thread *t)
{
	const ThreadCoreEntry *core = t->core->thread_core;
	const TaskCoreEntry *tc = t->core->tc;
	if (core->has_seccomp_mode)
		return (struct image_seccomp){
			.mode = core->seccomp_mode, .index = core->seccomp_filter};
	if (tc && tc->has_old_seccomp_mode)
		return (struct image_seccomp){
			.mode = tc->old_seccomp_mode,
			.index = tc->old_seccomp_filter,
			.extra_flags = SECCOMP_FILTER_FLAG_TSYNC,
		};
	return (struct image_seccomp){0};
}

static int check_filter(struct session *s, const struct thread *t, const SeccompFilter *e)
{
	const uint32_t known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
			       SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	size_t len = e->filter.len;
	if (!len || len % sizeof(struct sock_filter) ||
		len / sizeof(struct sock_filter) > MAX_INSTRUCTIONS)
		return fail(s, EBADMSG, "pid %d thread %d: a seccomp filter of %zu bytes",
			t->task->vpid, t->vtid, len);
	if (e->has_flags && e->flags & ~known)
		return fail(s, EOPNOTSUPP, "pid %d thread %d: seccomp filter flags 0x%x",
			t->task->vpid, t->vtid, e->flags);
	return 0;
}

static int seccomp_check(struct session *s, struct thread *t)
{
	const struct seccomp_table *table = t->task->tree->seccomp;
	size_t n = table ? table->filters.n : 0;
	struct image_seccomp want = image_of(t);
	if (want.mode > SECCOMP_MODE_FILTER)
		return fail(s, EBADMSG, "pid %d thread %d: seccomp mode %u", t->task->vpid, t->vtid,
			want.mode);
	if (want.mode != SECCOMP_MODE_FILTER)
		return 0;
	uint32_t index = want.index;
	for (size_t seen = 0;; seen++) {
		if (index >= n || seen >= n)
			return fail(s, EBADMSG,
				"pid %d thread %d: its seccomp filters are not in seccomp.img",
				t->task->vpid, t->vtid);
		const SeccompFilter *e = table->filters.v[index];
		int r = check_filter(s, t, e);
		if (r < 0 || !e->has_prev)
			return r;
		index = e->prev;
	}
}

static void plan_filter(
	struct session *s, struct program *p, const SeccompFilter *e, uint32_t extra_flags)
{
	struct sock_fprog prog = {.len = (uint16_t)(e->filter.len / sizeof(struct sock_filter))};
	struct arg code = in(p, e->filter.data, e->filter.len);
	struct arg head = in_copy(p, &prog, sizeof(prog));
	program_link(p, head, offsetof(struct sock_fprog, filter), code);
	/* With TSYNC a positive result names the thread that could not follow. */
	program_expect(p,
		program_step(p, "install seccomp filter",
			arena_printf(&s->arena, "%u instructions", prog.len), SYS_seccomp,
			imm(SECCOMP_SET_MODE_FILTER), imm(e->flags | extra_flags), head),
		0);
}

static int seccomp_plan(struct session *s, struct thread *t, struct program *p)
{
	const struct seccomp_table *table = t->task->tree->seccomp;
	struct image_seccomp want = image_of(t);
	if (want.mode == SECCOMP_MODE_STRICT)
		program_step(p, "enter strict seccomp", NULL, SYS_prctl, imm(PR_SET_SECCOMP),
			imm(SECCOMP_MODE_STRICT), imm(0), imm(0), imm(0));
	if (want.mode != SECCOMP_MODE_FILTER)
		return 0;
	const SeccompFilter *e = table->filters.v[want.index];
	for (;;) {
		plan_filter(s, p, e, want.extra_flags);
		if (!e->has_prev)
			return 0;
		e = table->filters.v[e->prev];
	}
}

const struct aspect seccomp_aspect = {
	.name = "seccomp",
	.inspect = seccomp_inspect,
	.check = seccomp_check,
	.plan = seccomp_plan,
};
