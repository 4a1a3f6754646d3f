/*
 * Reading one stopped task: from outside first, then by programs that the agent plays in it.
 *
 * Everything that running in the task could change (pending signals, rseq, registers) is read by
 * the aspects' inspect hooks before the agent enters.
 */
#include "dump/dump_tree.h"

#include <errno.h>

#include "engine/inject.h"
#include "mem/pages_dump.h"
#include "mem/vma.h"

static int inspect_threads(struct dump *d, struct task *t, struct aspect_states *states)
{
	for (size_t i = 0; i < t->threads.n; i++) {
		struct thread *th = t->threads.v[i];
		int r = arch_get_xstate(d->s, th->tid, &th->regs);
		if (r < 0)
			return fail(d->s, r, "pid %d: read extended registers", th->tid);
		r = aspects_inspect(d->s, th, &states[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static const VmaEntry *find_vdso(const struct task *t)
{
	for (size_t i = 0; i < t->mm->n_vmas; i++)
		if (t->mm->vmas[i]->status & VMA_VDSO)
			return t->mm->vmas[i];
	return NULL;
}

static int begin_visit(struct dump *d, struct task *t, struct visit **ret)
{
	const VmaEntry *vdso = find_vdso(t);
	return visit_begin(d->s, t, vdso ? vdso->start : 0, vdso ? vdso->end - vdso->start : 0, ret);
}

static int visit_leader(struct dump *d, struct task *t, struct visit *v, struct aspect_states *st)
{
	struct thread *lead = leader(t);
	struct program *p = &d->program;
	program_reset(p);
	p->about = arena_printf(&d->s->arena, "pid %d", t->pid);
	int r = aspects_collect(d->s, lead, p, st);
	if (r >= 0)
		r = vma_dump_plan(d->vmas[t->index], p);
	if (r >= 0)
		r = file_dump_collect(d->files, t, p);
	if (r >= 0)
		r = visit_play(v, p);
	if (r >= 0)
		r = aspects_store(d->s, lead, p, st);
	if (r >= 0)
		r = vma_dump_store(d->vmas[t->index], p);
	return r;
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
		program_reset(&g->programs[k]);
		r = aspects_collect(d->s, t->threads.v[first + k], &g->programs[k],
			&states[first + k]);
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

static int store_registers(struct dump *d, struct task *t)
{
	for (size_t i = 0; i < t->threads.n; i++) {
		struct thread *th = t->threads.v[i];
		struct user_regs_struct live = th->regs.gp;
		arch_fix_restart(th->tid, &th->regs.gp);
		int r = arch_core_store(d->s, th->core, th->tid, &th->regs);
		th->regs.gp = live;
		if (r < 0)
			return r;
	}
	return 0;
}

static int visit_task(struct dump *d, struct task *t, struct aspect_states *states)
{
	struct visit *v = NULL;
	int r = begin_visit(d, t, &v);
	if (r >= 0)
		r = visit_leader(d, t, v, states);
	if (r >= 0)
		r = visit_threads(d, t, v, states);
	int left = visit_end(v);
	return r < 0 ? r : left;
}

int dump_collect_task(struct dump *d, struct task *t)
{
	struct aspect_states *states =
		arena_array(&d->s->arena, struct aspect_states, t->threads.n);
	int r = inspect_threads(d, t, states);
	if (r >= 0)
		r = vma_dump_collect(d->s, d->files, t, 0, 0, &d->vmas[t->index]);
	if (r < 0)
		return r;
	if (d->dry)
		return file_dump_collect(d->files, t, NULL);
	r = store_registers(d, t);
	if (r >= 0)
		r = visit_task(d, t, states);
	if (r >= 0)
		r = file_dump_store(d->files, t, &d->program);
	return r;
}

int dump_task_pages(struct dump *d, struct task *t)
{
	struct visit *v = NULL;
	int r = pages_prepare_visit(d->vmas[t->index]);
	if (r > 0)
		r = begin_visit(d, t, &v);
	if (r >= 0)
		r = pages_dump_task(d->s, t, d->vmas[t->index], v);
	int left = visit_end(v);
	return r < 0 ? r : left;
}
