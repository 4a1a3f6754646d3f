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
		int r = arch_get_xstate(th->tid, &th->regs);
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

static int visit_threads(struct dump *d, struct task *t, struct visit *v, struct aspect_states *states)
{
	struct program p;
	program_init(&p, d->s, arena_printf(&d->s->arena, "thread of pid %d", t->pid));
	for (size_t i = 1; i < t->threads.n; i++) {
		struct thread *th = t->threads.v[i];
		program_reset(&p);
		int r = aspects_collect(d->s, th, &p, &states[i]);
		if (r >= 0)
			r = visit_play_thread(v, th, &p);
		if (r >= 0)
			r = aspects_store(d->s, th, &p, &states[i]);
		if (r < 0)
			return r;
	}
	return 0;
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
