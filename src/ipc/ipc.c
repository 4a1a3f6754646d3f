/* The kinds of System V objects, one after the other. */
#include "ipc/ipc.h"

int ipc_collect(struct session *s, struct tree *tree)
{
	int r = sem_collect(s, tree);
	return r < 0 ? r : msg_collect(s, tree);
}

int ipc_write(struct session *s, struct tree *tree)
{
	int r = shm_write(s, tree);
	if (r >= 0)
		r = sem_write(s, tree);
	return r < 0 ? r : msg_write(s, tree);
}

int ipc_load(struct session *s, struct tree *tree)
{
	int r = shm_load(s, tree);
	if (r >= 0)
		r = sem_load(s, tree);
	return r < 0 ? r : msg_load(s, tree);
}

int ipc_make(struct session *s, struct tree *tree)
{
	int r = shm_make(s, tree);
	if (r >= 0)
		r = sem_make(s, tree);
	return r < 0 ? r : msg_make(s, tree);
}

/* By a task, so that they remember one of the tree as their user. */
int ipc_fill(struct stubs *st, struct tree *tree)
{
	struct program p;
	program_init(&p, st->s, arena_printf(&st->s->arena, "pid %d", tree->root->vpid));
	sem_plan(tree, &p);
	msg_plan(tree, &p);
	return p.steps.n ? stub_play(st, leader(tree->root), &p) : 0;
}

void ipc_undo(struct tree *tree)
{
	shm_undo(tree);
	sem_undo(tree);
	msg_undo(tree);
}
