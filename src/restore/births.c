/*
 * Births: every stub is cloned by its parent's, top-down.
 *
 * Before that the parent has mapped and filled what its children inherit; after it, the rest.
 * A level of the tree is started before it is waited for, and the next is planned meanwhile.  What
 * concerns a terminal is played alone.
 */
#include "restore/restore_tree.h"

#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/options.h"

/* The session a task is in when its parent forks it. */
static pid_t birth_session(const struct task *t)
{
	return t->born_sid ? t->born_sid : t->sid;
}

static bool forked_before_setsid(const struct task *parent, const struct task *child)
{
	return parent->born_sid && parent->born_sid == birth_session(child) &&
	       child->sid != parent->sid;
}

static int plan_children(struct restore *re, struct task *t, bool before_setsid, struct program *p)
{
	int r = 0;
	vec_for_each (&t->children, it) {
		struct task *c = *it;
		if (forked_before_setsid(t, c) != before_setsid || r < 0)
			continue;
		bool share = c->ids && t->ids && c->ids->files_id == t->ids->files_id;
		bool share_fs = c->ids && t->ids && c->ids->fs_id == t->ids->fs_id;
		c->now_pgid = t->now_pgid;
		r = stub_plan_child(&re->stubs, c, share, share_fs, p);
	}
	return r;
}

/* A group of its own first, so that children are born in it. */
static void plan_group(struct task *t, struct program *p)
{
	if (t->pgid != t->vpid || t->now_pgid == t->vpid)
		return;
	program_step(p, "setpgid", "own group", SYS_setpgid, imm(0), imm(0));
	t->now_pgid = t->vpid;
}

static int plan_birth(struct restore *re, struct task *t, struct program *p)
{
	int r = 0;
	if (task_lives(t))
		r = mem_plan_early(&re->stubs, re->files, t, p);
	if (r < 0)
		return r;
	/* before any orphan can need an adopter */
	if (task_lives(t) && leader(t)->core->tc->child_subreaper)
		program_step(p, "become a subreaper", NULL, SYS_prctl, imm(PR_SET_CHILD_SUBREAPER),
			imm(1));
	r = plan_children(re, t, /* before_setsid= */ true, p);
	if (r < 0)
		return r;
	if (t->sid == t->vpid) {
		int step = program_step(p, "setsid", NULL, SYS_setsid);
		program_expect(p, step, t->vpid);
		t->now_pgid = t->vpid;
		r = file_plan_terminal(re->files, &re->stubs, t, p);
		if (r < 0)
			return r;
	}
	plan_group(t, p);
	return plan_children(re, t, /* before_setsid= */ false, p);
}

static int adopt_children(struct restore *re, struct task *t)
{
	int r = 0;
	vec_for_each (&t->children, it) {
		struct task *c = *it;
		c->pid = leader(c)->tid = c->vpid;
		if (r >= 0)
			r = stub_adopt(&re->stubs, leader(c));
	}
	return r;
}

typedef VEC(struct task *) task_vec;

static bool receives(const struct restore *re, const struct task *t)
{
	return task_lives(t) &&
	       (mem_needs_files(t, /* early= */ true) || file_has_terminal(re->files, t));
}

static int plan_task(struct restore *re, struct task *t)
{
	struct program *p = &leader(t)->program;
	program_init(p, re->s, arena_printf(&re->s->arena, "pid %d", t->vpid));
	int r = receives(re, t) ? stub_take_lane(&re->stubs, leader(t)) : 0;
	return r < 0 ? r : plan_birth(re, t, p);
}

static int start_task(struct restore *re, struct task *t)
{
	struct thread *lead = leader(t);
	if (lead->program.about) /* planned and in its channel */
		return stub_go(&re->stubs, lead, &lead->program);
	int r = plan_task(re, t);
	if (r < 0)
		return r;
	if (task_lives(t) && file_has_terminal(re->files, t))
		return stub_play(&re->stubs, lead, &lead->program);
	return stub_start(&re->stubs, lead, &lead->program);
}

/* While their parents fork. But what receives has to wait for a lane. */
static int plan_next(struct restore *re, const task_vec *next)
{
	int r = 0;
	for (size_t i = 0; i < next->n && r >= 0; i++) {
		struct task *t = next->v[i];
		if (receives(re, t))
			continue;
		r = plan_task(re, t);
		if (r >= 0)
			r = stub_load(&re->stubs, leader(t), &leader(t)->program);
	}
	return r;
}

/* Starts the birth program of each task of a level, then waits for all; appends their children. */
static int birth_level(struct restore *re, const task_vec *level, task_vec *next)
{
	int r = 0;
	for (size_t i = 0; i < level->n && r >= 0; i++)
		r = start_task(re, level->v[i]);
	vec_for_each (level, t)
		vec_for_each (&(*t)->children, c)
			*vec_push(&re->s->arena, next) = *c;
	if (r >= 0)
		r = plan_next(re, next);
	for (size_t i = 0; i < level->n && r >= 0; i++) {
		struct task *t = level->v[i];
		r = stub_wait(&re->stubs, leader(t), &leader(t)->program);
		if (r >= 0)
			r = adopt_children(re, t);
	}
	return r;
}

static int join_groups(struct restore *re)
{
	int r = 0;
	vec_for_each (&re->tree.tasks, it) {
		struct task *t = *it;
		if (t->pgid == 0 || t->pgid == t->now_pgid || r < 0)
			continue;
		struct program *p = &leader(t)->program;
		program_init(p, re->s, arena_printf(&re->s->arena, "pid %d", t->vpid));
		program_step(p, "setpgid", arena_printf(&re->s->arena, "%d", t->pgid), SYS_setpgid,
			imm(0), imm((uint64_t)t->pgid));
		r = stub_play(&re->stubs, leader(t), p);
	}
	return r;
}

int restore_births(struct restore *re)
{
	task_vec level = {0};
	re->tree.root->now_pgid = getpgid(0);
	int r = file_make_terminals(re->files);
	if (r >= 0)
		r = stub_fork_root(&re->stubs, re->tree.root, re->s->opt->restore_sibling);
	if (r < 0)
		return r;
	*vec_push(&re->s->arena, &level) = re->tree.root;
	while (level.n && r >= 0) {
		task_vec next = {0};
		r = birth_level(re, &level, &next);
		level = next;
	}
	if (r >= 0)
		r = join_groups(re);
	return r < 0 ? r : file_settle_terminals(re->files, &re->stubs);
}
