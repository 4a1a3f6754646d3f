/*
 * What can be read of stopped tasks without ptrace and without changing anything but their model:
 * two threads share it (base/share.h), since it is a third of a dump of many small tasks.
 */
#include "dump/dump_tree.h"

#include "base/share.h"

/* Pieces: first the kinds of ids, each a row of comparisons of all tasks, then the tasks. */
static int read_piece(struct session *s, void *arg, size_t i)
{
	struct dump *d = arg;
	if (i < DUMP_ID_KINDS)
		return dump_read_ids(s, d, (int)i);
	struct task *t = d->tree.tasks.v[i - DUMP_ID_KINDS];
	if (!task_lives(t))
		return 0;
	int r = dump_check_namespaces(s, d, t);
	return r < 0 ? r : vma_dump_read(s, t, 0, 0, &d->vmas[t->index]);
}

int dump_read_tasks(struct dump *d)
{
	d->vmas = arena_array(&d->s->arena, struct vma_dump *, d->tree.tasks.n);
	int r = dump_prepare_ids(d);
	if (r >= 0)
		r = share_out(d->s, DUMP_ID_KINDS + d->tree.tasks.n, read_piece, d);
	return r < 0 ? r : dump_check_ids(d);
}
