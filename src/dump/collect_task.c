/*
 * Reading stopped tasks: from outside first, then by programs that the agent plays in them.
 *
 * Tasks go through this in batches, each step for all of a batch before the next, so that the
 * controller works while tasks run and the other way round.
 *
 * Everything that running in the task could change (pending signals, rseq, registers) is read by
 * the aspects' inspect hooks before the agent enters that thread.
 */
#include "dump/dump_tree.h"

#include <errno.h>

#include "engine/inject.h"
#include "mem/pages_dump.h"
#include "mem/vma.h"

static int inspect_threads(struct dump *d, struct task *t, struct aspect_states *states)
{
	int r = 0;
	for (size_t i = 0; i < t->threads.n && r >= 0; i++)
		r = aspects_inspect(d->s, t->threads.v[i], &states[i]);
	return r;
}

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

static const VmaEntry *find_vdso(const struct task *t)
{
	for (size_t i = 0; i < t->mm->n_vmas; i++)
		if (t->mm->vmas[i]->status & VMA_VDSO)
			return t->mm->vmas[i];
	return NULL;
}

/* how: visit_begin() or visit_open() */
static int begin_visit(struct dump *d, struct task *t, typeof(visit_open) *how, struct visit **ret)
{
	const VmaEntry *vdso = find_vdso(t);
	return how(d->s, t, vdso ? vdso->start : 0, vdso ? vdso->end - vdso->start : 0, ret);
}

/* A task of a batch. */
struct collecting {
	struct task *t;
	struct aspect_states *states; /* of each thread */
};

static int plan_leader(struct dump *d, const struct collecting *c, struct program *p)
{
	program_reset(p);
	p->about = arena_printf(&d->s->arena, "pid %d", c->t->pid);
	int r = aspects_collect(d->s, leader(c->t), p, c->states);
	if (r >= 0)
		r = vma_dump_plan(d->vmas[c->t->index], p);
	return r < 0 ? r : file_dump_collect(d->files, c->t, p);
}

static int store_leader(struct dump *d, const struct collecting *c, const struct program *p)
{
	int r = aspects_store(d->s, leader(c->t), p, c->states);
	return r < 0 ? r : vma_dump_store(d->vmas[c->t->index], p);
}

/* Threads that are visited together. */
struct group {
	size_t first, n; /* in task->threads */
	struct program programs[VISIT_SEATS_MAX];
};

static int collect_group(struct dump *d, struct task *t, struct aspect_states *states,
	size_t first, size_t max, struct group *g)
{
	int r = 0;
	g->first = first;
	g->n = first + max <= t->threads.n ? max : t->threads.n - first;
	for (size_t k = 0; k < g->n && r >= 0; k++) {
		struct thread *th = t->threads.v[first + k];
		program_reset(&g->programs[k]);
		r = read_registers(d->s, th);
		if (r >= 0)
			r = aspects_collect(d->s, th, &g->programs[k], &states[first + k]);
	}
	return r;
}

static int store_group(struct dump *d, struct task *t, struct aspect_states *states,
	const struct group *g)
{
	int r = 0;
	for (size_t k = 0; k < g->n && r >= 0; k++)
		r = aspects_store(d->s, t->threads.v[g->first + k], &g->programs[k],
			&states[g->first + k]);
	return r;
}

/* While one group is inside, the results of the one before are stored and the next is prepared. */
static int visit_threads(struct dump *d, struct task *t, struct visit *v, struct aspect_states *states)
{
	struct group groups[2] = {0}, *now = &groups[0], *other = &groups[1];
	const char *about = arena_printf(&d->s->arena, "thread of pid %d", t->pid);
	for (size_t k = 0; k < VISIT_SEATS_MAX; k++) {
		program_init(&now->programs[k], d->s, about);
		program_init(&other->programs[k], d->s, about);
	}
	int r = collect_group(d, t, states, 1, visit_seats(v), now);
	while (r >= 0 && now->n) {
		r = visit_send(v, &t->threads.v[now->first], now->programs, now->n);
		if (r >= 0)
			r = store_group(d, t, states, other);
		if (r >= 0)
			r = collect_group(d, t, states, now->first + now->n, visit_seats(v), other);
		if (r >= 0)
			r = visit_fetch(v);
		struct group *played = now;
		now = other;
		other = played;
	}
	return r < 0 ? r : store_group(d, t, states, other);
}

/* Everything that is read while nothing runs in the task. */
static int read_outside(struct dump *d, struct collecting *c)
{
	struct task *t = c->t;
	c->states = d->states[t->index];
	int r = inspect_threads(d, t, c->states);
	if (r < 0)
		return r;
	return d->dry ? file_dump_collect(d->files, t, NULL) : read_registers(d->s, leader(t));
}

static int play_inside(struct dump *d, struct collecting *c, struct visit *const *visits, size_t n)
{
	int r = visits_enter(visits, n);
	if (r >= 0)
		r = visits_play(visits, d->programs, n);
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = store_leader(d, &c[i], &d->programs[i]);
		if (r >= 0)
			r = visit_threads(d, c[i].t, visits[i], c[i].states);
	}
	return r;
}

int dump_collect_batch(struct dump *d, struct task *const *tasks, size_t n)
{
	struct collecting c[VISITS_MAX] = {0};
	struct visit *visits[VISITS_MAX] = {0};
	int r = 0;
	for (size_t i = 0; i < n && r >= 0; i++) {
		c[i].t = tasks[i];
		r = read_outside(d, &c[i]);
		if (r >= 0 && !d->dry)
			r = begin_visit(d, tasks[i], visit_open, &visits[i]);
		if (r >= 0 && !d->dry)
			r = plan_leader(d, &c[i], &d->programs[i]);
	}
	if (d->dry)
		return r;
	if (r >= 0)
		r = play_inside(d, c, visits, n);
	int left = visits_end(visits, n);
	r = r < 0 ? r : left;
	for (size_t i = 0; i < n && r >= 0; i++)
		r = file_dump_store(d->files, tasks[i], &d->programs[i]);
	return r;
}

int dump_visit(struct dump *d, struct task *t, struct visit **ret)
{
	return begin_visit(d, t, visit_begin, ret);
}

int dump_visit_pages(struct dump *d, struct task *t)
{
	struct visit *v = NULL;
	int r = pages_prepare(d->vmas[t->index]);
	if (r <= 0)
		return r;
	r = dump_visit(d, t, &v);
	if (r >= 0)
		r = pages_dump_task(d->s, t, d->vmas[t->index], v);
	int left = visit_end(v);
	r = r < 0 ? r : left;
	return r < 0 ? r : 1;
}
