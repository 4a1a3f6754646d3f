/* Building and searching the task model. */
#include "task/task.h"

struct task *task_new(struct session *s, struct tree *tree, struct task *parent, pid_t vpid)
{
	struct task *t = arena_new(&s->arena, struct task);
	t->tree = tree;
	t->parent = parent;
	t->pid = t->vpid = vpid;
	t->state = TASK_ALIVE;
	t->index = (uint32_t)tree->tasks.n;
	*vec_push(&s->arena, &tree->tasks) = t;
	if (!tree_find(tree, vpid))
		id_map_put(&s->arena, &tree->by_vpid, (uint64_t)vpid, t);
	if (parent)
		*vec_push(&s->arena, &parent->children) = t;
	else
		tree->root = t;
	return t;
}

void thread_add(struct session *s, struct task *t, struct thread *th)
{
	th->task = t;
	*vec_push(&s->arena, &t->threads) = th;
}

struct thread *thread_new(struct session *s, struct task *t, pid_t vtid)
{
	struct thread *th = arena_new(&s->arena, struct thread);
	th->tid = th->vtid = vtid;
	thread_add(s, t, th);
	return th;
}

struct task *tree_find(const struct tree *tree, pid_t vpid)
{
	return id_map_get(&tree->by_vpid, (uint64_t)vpid);
}
