/*
 * The kinds of System V objects, one after the other.
 *
 * The kernel keeps what a killed restore has made: it is made in a child that goes on if we are killed, and
 * removed by a guard (file/brief_names.h), unless the tree lives by then.
 */
#include "ipc/ipc.h"

#include <errno.h>
#include <poll.h>

#include "base/cleanup.h"
#include "file/brief_names.h"
#include "kernel/syscalls.h"

enum { DIES_WITHIN_MS = 500 }; /* a stub whose tracer is gone */

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

static int make_all(void *owner, void *session)
{
	struct session *s = session;
	struct tree *tree = owner;
	int r = shm_make(s, tree);
	if (r >= 0)
		r = sem_make(s, tree);
	return r < 0 ? r : msg_make(s, tree);
}

/* We are dead. */
static void take_back(void *owner)
{
	struct tree *tree = owner;
	_cleanup_close_ int root = sys_pidfd_open(tree->root->pid, 0);
	struct pollfd p = {.fd = root, .events = POLLIN};
	if (root == -ESRCH || (root >= 0 && poll(&p, 1, DIES_WITHIN_MS) > 0))
		ipc_undo(tree);
}

int ipc_make(struct session *s, struct tree *tree)
{
	if (!tree->shm && !tree->sem && !tree->msg)
		return 0;
	int r = brief_names_begin(s, take_back, tree, &tree->ipc_guard);
	return r < 0 ? r : brief_names_do(tree->ipc_guard, make_all, s);
}

void ipc_keep(struct tree *tree)
{
	brief_names_end(&tree->ipc_guard);
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
