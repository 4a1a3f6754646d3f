/*
 * Sessions and process groups.
 *
 * A session is entered only by being born in it or by setsid(); a group by setpgid() into one that
 * exists in the session.  So the tree is rewritten before anything is forked:
 *  - the member of a dead leader's session needs a helper that stands for the leader, calls setsid()
 *    and forks it; when helpers end, their children are adopted as they were in real life;
 *  - a task in the session of a living ancestor that is not its parent's must be forked by that
 *    line of ancestors before they call setsid() themselves: born_sid of those on the way;
 *  - a group whose leader is dead needs a helper with the leader's PID until all have joined.
 */
#include "restore/restore_tree.h"

#include <errno.h>
#include <unistd.h>

#include "cli/options.h"

static bool id_in_use(const struct tree *tree, pid_t id)
{
	vec_for_each(&tree->tasks, it) {
		const struct task *t = *it;
		if (t->vpid == id || t->pgid == id || t->sid == id)
			return true;
		vec_for_each(&t->threads, th)
			if ((*th)->vtid == id)
				return true;
	}
	return false;
}

static struct task *new_helper(struct restore *re, struct task *parent, pid_t pid, pid_t sid,
	pid_t pgid)
{
	struct task *h = task_new(re->s, &re->tree, parent, pid);
	thread_new(re->s, h, pid);
	h->state = TASK_HELPER;
	h->sid = sid;
	h->pgid = pgid;
	return h;
}

/* --- shell jobs: the root's foreign session and group become the tool's own --- */

static int adopt_own_session(struct restore *re)
{
	struct task *root = re->tree.root;
	if (root->sid == root->vpid)
		return 0;
	if (!re->s->opt->shell_job)
		return fail_remedy(re->s, EINVAL, "use --shell-job",
			"pid %d is not a session leader: it was dumped as a job of a shell", root->vpid);
	pid_t old_sid = root->sid, old_pgid = root->pgid == root->vpid ? 0 : root->pgid;
	pid_t own_sid = getsid(0), own_pgid = getpgid(0);
	vec_for_each(&re->tree.tasks, it) {
		struct task *t = *it;
		if (t->sid == old_sid)
			t->sid = own_sid;
		if (old_pgid && t->pgid == old_pgid)
			t->pgid = own_pgid;
		else if (t->pgid == old_sid)
			t->pgid = own_sid;
	}
	return 0;
}

/* --- dead session leaders --- */

static pid_t free_pid(const struct tree *tree)
{
	pid_t pid = 301;
	while (id_in_use(tree, pid) || getpgid(pid) >= 0)
		pid++;
	return pid;
}

static struct task *session_helper(struct restore *re, struct task *root, pid_t sid)
{
	vec_for_each(&re->tree.tasks, it)
		if ((*it)->state == TASK_HELPER && (*it)->sid == sid)
			return *it;
	struct task *lead = tree_find(&re->tree, sid);
	if (!lead)
		return new_helper(re, root, sid, sid, sid);
	return new_helper(re, lead, free_pid(&re->tree), sid, lead->pgid);
}

/* Children that the root adopted from a dead task of another session. */
static void place_orphans(struct restore *re)
{
	struct task *root = re->tree.root;
	size_t kept = 0, n = root->children.n;
	struct task **children = root->children.v;
	struct task **moved = arena_array(&re->s->arena, struct task *, n + 1);
	size_t n_moved = 0;
	for (size_t i = 0; i < n; i++) {
		struct task *c = children[i];
		bool orphan = c->state != TASK_HELPER && c->sid != root->sid && c->sid != c->vpid;
		if (orphan)
			moved[n_moved++] = c;
		else
			children[kept++] = c;
	}
	root->children.n = kept;
	for (size_t i = 0; i < n_moved; i++) {
		struct task *h = session_helper(re, root, moved[i]->sid);
		moved[i]->parent = h;
		*vec_push(&re->s->arena, &h->children) = moved[i];
	}
}

/* --- born before the parent's setsid() --- */

static int mark_birth_session(struct restore *re, struct task *t)
{
	struct task *up = t->parent;
	if (t->sid == t->vpid || !up || t->sid == up->sid)
		return 0;
	for (; up && up->vpid != t->sid; up = up->parent) {
		if (up->born_sid && up->born_sid != t->sid)
			return fail(re->s, EINVAL, "pid %d would have to be born in two sessions (%d and %d)",
				up->vpid, up->born_sid, t->sid);
		if (up->sid != t->sid)
			up->born_sid = t->sid;
		else
			return 0;
	}
	if (!up)
		return fail(re->s, EINVAL, "pid %d is in session %d, whose leader is not above it",
			t->vpid, t->sid);
	return 0;
}

/* --- dead group leaders --- */

static void place_group_leader(struct restore *re, struct task *t)
{
	if (!t->pgid || t->pgid == t->vpid || tree_find(&re->tree, t->pgid))
		return;
	if (t->pgid == getpgid(0))
		return;
	new_helper(re, t, t->pgid, t->sid, t->pgid);
}

/* The foreground group of a terminal that has no members any more, as after the end of a job. */
static void place_foreground(struct restore *re, struct task *t)
{
	pid_t pgrp = file_foreground_group(re->files, t);
	if (!pgrp || id_in_use(&re->tree, pgrp))
		return;
	new_helper(re, t, pgrp, t->sid, pgrp);
}

int restore_arrange_sessions(struct restore *re)
{
	int r = adopt_own_session(re);
	if (r < 0)
		return r;
	place_orphans(re);
	/* helpers are appended while we walk; they need nothing of this themselves */
	for (size_t i = 0; i < re->tree.tasks.n && r >= 0; i++)
		r = mark_birth_session(re, re->tree.tasks.v[i]);
	for (size_t i = 0, n = re->tree.tasks.n; i < n && r >= 0; i++)
		place_group_leader(re, re->tree.tasks.v[i]);
	for (size_t i = 0, n = re->tree.tasks.n; i < n && r >= 0; i++)
		place_foreground(re, re->tree.tasks.v[i]);
	return r;
}
