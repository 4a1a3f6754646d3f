/*
 * What can be read of stopped tasks without ptrace and without changing anything but their model:
 * two threads share it (base/share.h), since it is a third of a dump of many small tasks.
 */
#include "dump/dump_tree.h"

#include <unistd.h>

#include "base/share.h"
#include "kernel/proc_maps.h"

/* Flags of mappings are read by a program that takes a millisecond to load, and saves 0.07 for
 * each. */
enum { MANY_TASKS = 32 };

/* A thread other than the leader. */
struct other {
	struct thread *t;
	struct aspect_states *state;
};

/* Pieces: first the kinds of ids, each a row of comparisons of all tasks, then tasks, then threads.
 */
struct reading {
	struct dump *d;
	size_t n_tasks;
	VEC(struct other) others;
};

static int read_task(struct session *s, struct dump *d, struct task *t)
{
	if (!task_lives(t))
		return 0;
	int r = dump_check_namespaces(s, d, t);
	if (r >= 0)
		r = dump_check_threads(s, t);
	if (r >= 0)
		r = file_dump_read(s, t);
	if (r >= 0)
		r = vma_dump_read(s, t, 0, 0, &d->vmas[t->index]);
	return r < 0 ? r : aspects_read(s, leader(t), d->states[t->index]);
}

static int read_piece(struct session *s, void *arg, size_t i)
{
	const struct reading *g = arg;
	if (i < DUMP_ID_KINDS)
		return dump_read_ids(s, g->d, (int)i);
	i -= DUMP_ID_KINDS;
	if (i < g->n_tasks)
		return read_task(s, g->d, g->d->tree.tasks.v[i]);
	i -= g->n_tasks;
	return aspects_read(s, g->others.v[i].t, g->others.v[i].state);
}

/*
 * Those that are there are told apart by their numbers, which stopped threads keep.  Those of
 * status.c will not do: a thread that has died since may have made a timer.
 */
static void find_records(struct dump *d)
{
	size_t n_threads = 0;
	vec_for_each (&d->tree.tasks, t)
		n_threads += (*t)->threads.n;
	if (!dump_open_records(d, d->tree.tasks.n, n_threads) || !dump_read_records(d))
		return;
	vec_for_each (&d->tree.tasks, t)
		vec_for_each (&(*t)->threads, th) {
			const struct task_record *r = task_record_find(&d->records, (*th)->tid);
			/* one that was killed just now has nothing any more */
			(*th)->record = r && r->mm && r->files && r->fs && r->sighand ? r : NULL;
		}
}

static void make_states(struct reading *g)
{
	struct dump *d = g->d;
	struct arena *a = &d->s->arena;
	d->states = arena_array(a, struct aspect_states *, g->n_tasks);
	vec_for_each (&d->tree.tasks, it) {
		struct task *t = *it;
		struct aspect_states *st = arena_array(a, struct aspect_states, t->threads.n);
		d->states[t->index] = st;
		for (size_t k = 1; task_lives(t) && k < t->threads.n; k++)
			*vec_push(a, &g->others) = (struct other){t->threads.v[k], &st[k]};
	}
}

/* A zombie, or a program that the kernel does not take, leaves the others to be read from smaps. */
static void open_flags(struct dump *d)
{
	int program =
		d->tree.tasks.n < MANY_TASKS ? -1 : proc_flags_program(d->s, d->tree.root->pid);
	d->tree.flags_program = program < 0 ? 0 : program;
}

static void close_flags(struct dump *d)
{
	if (d->tree.flags_program)
		close(d->tree.flags_program);
	d->tree.flags_program = 0;
}

int dump_read_tasks(struct dump *d)
{
	struct reading g = {.d = d, .n_tasks = d->tree.tasks.n};
	d->vmas = arena_array(&d->s->arena, struct vma_dump *, g.n_tasks);
	make_states(&g);
	find_records(d);
	open_flags(d);
	int r = dump_prepare_ids(d);
	if (r >= 0)
		r = share_out(d->s, DUMP_ID_KINDS + g.n_tasks + g.others.n, read_piece, &g);
	close_flags(d);
	return r < 0 ? r : dump_check_ids(d);
}
