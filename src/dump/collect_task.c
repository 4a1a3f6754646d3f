/*
 * Reading stopped tasks: from outside first, then by programs that the agent plays in them.
 *
 * Each lane has the tasks that it traces. They go through this in batches, each step for all of a
 * batch before the next, so that the controller works while tasks run and the other way round.
 * A task whose threads are in more than one lane, or whose address space is another's too, is read
 * alone, by all lanes together.
 *
 * Everything that running in a thread could change (pending signals, rseq, registers) is read by
 * the aspects' inspect hooks before the agent enters it.
 */
#include "dump/dump_tree.h"

#include <errno.h>

#include "base/share.h"
#include "engine/inject.h"
#include "mem/vma.h"

/* Most of them ask for signal actions. */
enum { LEADER_STEPS = 128 };

/* The registers in the image are those with which a restored thread goes on. */
static int read_registers(struct session *s, struct thread *th)
{
	int r = arch_get_xstate(s, th->tid, &th->regs);
	if (r < 0)
		return fail(s, r, "pid %d: read extended registers", th->tid);
	struct user_regs_struct live = th->regs.gp;
	arch_fix_restart(th->tid, &th->regs.gp);
	r = arch_core_store(s, th->core, th->tid, &th->regs);
	th->regs.gp = live;
	return r;
}

/* Everything that is read while nothing runs in the thread; of those of one lane. */
static int inspect_threads(
	struct session *s, const struct dump *d, const struct task *t, unsigned lane)
{
	int r = 0;
	for (size_t i = 0; i < t->threads.n && r >= 0; i++)
		if (t->threads.v[i]->lane == lane)
			r = aspects_inspect(s, t->threads.v[i], &d->states[t->index][i]);
	return r;
}

static const VmaEntry *find_vdso(const struct task *t)
{
	for (size_t i = 0; i < t->mm->n_vmas; i++)
		if (t->mm->vmas[i]->status & VMA_VDSO)
			return t->mm->vmas[i];
	return NULL;
}

int dump_begin_visit(struct session *s, struct task *t, typeof(visit_open) *how, struct visit **ret)
{
	const VmaEntry *vdso = find_vdso(t);
	return how(s, t, vdso ? vdso->start : 0, vdso ? vdso->end - vdso->start : 0, ret);
}

static int plan_leader(struct session *s, const struct dump *d, struct task *t, struct program *p)
{
	program_reset(p);
	p->s = s;
	if (!p->steps.cap)
		program_reserve(p, LEADER_STEPS);
	p->about = arena_printf(&s->arena, "pid %d", t->pid);
	int r = aspects_collect(s, leader(t), p, d->states[t->index]);
	if (r >= 0)
		r = vma_dump_plan(d->vmas[t->index], p);
	if (r >= 0)
		file_dump_collect(t, p);
	return r;
}

static int store_leader(
	struct session *s, const struct dump *d, struct task *t, const struct program *p)
{
	int r = aspects_store(s, leader(t), p, d->states[t->index]);
	if (r >= 0)
		r = vma_dump_store(d->vmas[t->index], p);
	return r < 0 ? r : file_dump_take(t, p);
}

/* --- other threads --- */

/* Those of one lane. */
struct guests {
	struct session *s;
	struct visit *v;
	VEC(struct thread *) threads;
	VEC(struct aspect_states *) states; /* of each */
};

/* Of these the ones that are visited together. */
struct group {
	size_t first, n;
	struct program programs[VISIT_SEATS_MAX];
};

static int collect_group(const struct guests *of, size_t first, struct group *g)
{
	size_t left = of->threads.n - first, most = visit_seats(of->v);
	int r = 0;
	g->first = first;
	g->n = left < most ? left : most;
	for (size_t k = 0; k < g->n && r >= 0; k++) {
		struct thread *th = of->threads.v[first + k];
		program_reset(&g->programs[k]);
		r = read_registers(of->s, th);
		if (r >= 0)
			r = aspects_collect(of->s, th, &g->programs[k], of->states.v[first + k]);
	}
	return r;
}

static int store_group(const struct guests *of, const struct group *g)
{
	int r = 0;
	for (size_t k = 0; k < g->n && r >= 0; k++)
		r = aspects_store(of->s, of->threads.v[g->first + k], &g->programs[k],
			of->states.v[g->first + k]);
	return r;
}

/* While one group is inside, the results of the one before are stored and the next is prepared. */
static int visit_guests(const struct guests *of, const char *about)
{
	struct group groups[2] = {0}, *now = &groups[0], *other = &groups[1];
	for (size_t k = 0; k < VISIT_SEATS_MAX; k++) {
		program_init(&now->programs[k], of->s, about);
		program_init(&other->programs[k], of->s, about);
	}
	int r = collect_group(of, 0, now);
	while (r >= 0 && now->n) {
		r = visit_send(of->v, &of->threads.v[now->first], now->programs, now->n);
		if (r >= 0)
			r = store_group(of, other);
		if (r >= 0)
			r = collect_group(of, now->first + now->n, other);
		if (r >= 0)
			r = visit_fetch(of->v);
		struct group *played = now;
		now = other;
		other = played;
	}
	return r < 0 ? r : store_group(of, other);
}

static int visit_threads(struct session *s, const struct dump *d, const struct task *t,
	struct visit *v, unsigned lane)
{
	struct guests g = {.s = s, .v = v};
	for (size_t i = 1; i < t->threads.n; i++) {
		if (t->threads.v[i]->lane != lane)
			continue;
		*vec_push(&s->arena, &g.threads) = t->threads.v[i];
		*vec_push(&s->arena, &g.states) = &d->states[t->index][i];
	}
	return g.threads.n ? visit_guests(&g, arena_printf(&s->arena, "thread of pid %d", t->pid))
			   : 0;
}

/* --- most tasks --- */

/* The next ones of this lane; advances *at. */
static size_t next_batch(const struct dump *d, unsigned lane, size_t *at, struct task **ret)
{
	size_t n = 0;
	for (; *at < d->tree.tasks.n && n < VISITS_MAX; ++*at) {
		struct task *t = d->tree.tasks.v[*at];
		if (task_lives(t) && leader(t)->lane == lane && !d->alone[t->index])
			ret[n++] = t;
	}
	return n;
}

static int play_inside(struct session *s, struct dump *d, unsigned lane, struct task *const *tasks,
	struct visit *const *visits, size_t n)
{
	struct program *programs = d->programs[lane];
	int r = visits_enter(visits, n);
	if (r >= 0)
		r = visits_play(visits, programs, n);
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = store_leader(s, d, tasks[i], &programs[i]);
		if (r >= 0)
			r = visit_threads(s, d, tasks[i], visits[i], lane);
	}
	return r;
}

static int collect_batch(
	struct session *s, struct dump *d, unsigned lane, struct task *const *tasks, size_t n)
{
	struct visit *visits[VISITS_MAX] = {0};
	void *room = n > 1 ? visits_reserve(n) : NULL;
	int r = 0;
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = inspect_threads(s, d, tasks[i], lane);
		if (r >= 0)
			r = read_registers(s, leader(tasks[i]));
		if (r >= 0)
			r = dump_begin_visit(s, tasks[i], visit_open, &visits[i]);
		if (visits[i])
			visit_place(visits[i], room, i);
		if (r >= 0)
			r = plan_leader(s, d, tasks[i], &d->programs[lane][i]);
	}
	if (r >= 0)
		r = play_inside(s, d, lane, tasks, visits, n);
	int left = visits_end(visits, n);
	visits_unreserve(room, n);
	return r < 0 ? r : left;
}

static int collect_mine(struct session *s, void *arg, unsigned lane)
{
	struct dump *d = arg;
	struct task *batch[VISITS_MAX];
	size_t n, at = 0;
	int r = 0;
	for (size_t i = 0; i < VISITS_MAX; i++)
		program_init(&d->programs[lane][i], s, NULL);
	while (r >= 0 && !__atomic_load_n(&d->failed, __ATOMIC_RELAXED) &&
		(n = next_batch(d, lane, &at, batch)) > 0)
		r = collect_batch(s, d, lane, batch, n);
	if (r < 0)
		__atomic_store_n(&d->failed, true, __ATOMIC_RELAXED);
	return r;
}

/* --- one that is read alone --- */

struct solo {
	struct dump *d;
	struct task *t;
	struct visit *v;
	unsigned n_parts; /* of the seats: one for each lane, or all of them for one lane at a time
			   */
};

static int enter_solo(struct session *s, void *arg, unsigned lane)
{
	struct solo *o = arg;
	struct program *p = &o->d->programs[lane][0];
	int r = inspect_threads(s, o->d, o->t, lane);
	if (r < 0 || leader(o->t)->lane != lane)
		return r;
	r = read_registers(s, leader(o->t));
	if (r >= 0)
		r = dump_begin_visit(s, o->t, visit_begin, &o->v);
	if (r >= 0)
		r = plan_leader(s, o->d, o->t, p);
	if (r >= 0)
		r = visit_play(o->v, p);
	return r < 0 ? r : store_leader(s, o->d, o->t, p);
}

static int thread_solo(struct session *s, void *arg, unsigned lane)
{
	struct solo *o = arg;
	struct visit *v = visit_join(s, o->v, o->n_parts > 1 ? lane : 0, o->n_parts);
	int r = visit_threads(s, o->d, o->t, v, lane);
	int left = visit_part(v);
	return r < 0 ? r : left;
}

static int leave_solo(struct session *s, void *arg, unsigned lane)
{
	(void)s;
	(void)lane;
	return visit_end(((struct solo *)arg)->v);
}

static int visit_all_threads(struct session *s, struct solo *o)
{
	o->n_parts = visit_seats(o->v) < LANES_MAX ? 1 : LANES_MAX;
	if (o->n_parts > 1)
		return lanes_run(s, thread_solo, o);
	int r = 0;
	for (unsigned lane = 0; lane < lanes_open(s, /* worth_it= */ false) && r >= 0; lane++)
		r = lane_run(s, lane, thread_solo, o);
	return r;
}

static int collect_solo(struct dump *d, struct task *t)
{
	struct solo o = {.d = d, .t = t};
	int r = lanes_run(d->s, enter_solo, &o);
	if (r >= 0)
		r = visit_all_threads(d->s, &o);
	int left = lane_run(d->s, leader(t)->lane, leave_solo, &o);
	return r < 0 ? r : left;
}

/* --- all --- */

/* Two visits in one address space would be in each other's way. */
static void choose_alone(struct dump *d)
{
	struct arena *a = &d->s->arena;
	const struct tree *tree = &d->tree;
	uint32_t *users = arena_array(a, uint32_t, tree->tasks.n + 2); /* ids count up from 2 */
	d->alone = arena_array(a, bool, tree->tasks.n);
	vec_for_each (&tree->tasks, t)
		if (task_lives(*t))
			users[(*t)->ids->vm_id]++;
	vec_for_each (&tree->tasks, t)
		if (task_lives(*t))
			d->alone[(*t)->index] = (*t)->in_lanes || users[(*t)->ids->vm_id] > 1;
}

int dump_collect_tasks(struct dump *d)
{
	const struct tree *tree = &d->tree;
	choose_alone(d);
	int r = lanes_run(d->s, collect_mine, d);
	for (size_t i = 0; i < tree->tasks.n && r >= 0; i++)
		if (d->alone[i])
			r = collect_solo(d, tree->tasks.v[i]);
	for (size_t i = 0; i < tree->tasks.n && r >= 0; i++)
		if (task_lives(tree->tasks.v[i]))
			r = file_dump_store(d->files, tree->tasks.v[i]);
	/* mapped files last: descriptors tell which of them are leased and must not be opened */
	for (size_t i = 0; i < tree->tasks.n && r >= 0; i++)
		if (task_lives(tree->tasks.v[i]))
			r = vma_dump_collect(d->s, d->files, d->vmas[i]);
	return r;
}
