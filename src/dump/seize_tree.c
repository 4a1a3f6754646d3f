/*
 * Stopping a whole tree, in rounds.
 *
 * A round reads the lists (threads, then children) of all tasks whose lists may still grow, and
 * stops whoever is new there.  A list is exact only once all that could add to it are stopped, so
 * each is read again until it brings nothing new; every round stops what made it grow, so this ends
 * (or the timeout does).  What dies meanwhile is skipped.
 *
 * Each lane stops those that it will trace to the end (stop_round.c): every other task, with all
 * its threads, or every other thread of a task that has many.  The model is built by one thread,
 * between.
 */
#include "dump/dump_tree.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/share.h"
#include "cli/options.h"
#include "dump/candidate.h"
#include "engine/seize.h"
#include "kernel/proc_misc.h"
#include "kernel/proc_tasks.h"
#include "plugin/plugin.h"

enum {
	/* Dying takes a child that is on no list any more, or a zombie, within a few. */
	VAIN_ROUNDS = 1000,
	VAIN_NAP_NS = 10000, /* more with each */
	/* What is worth a second lane: so many tasks, or threads in one. */
	MANY_TASKS = 8,
	MANY_THREADS = 32,
};

/* A task whose lists may grow. */
struct growing {
	struct task *t;
	bool all_threads;  /* are known: it is the children that are looked for */
	bool orphans_only; /* which the kernel gives to the leader */
	size_t size;	   /* threads and children before this round */
	int vain_rounds;   /* the list had news that came to nothing */
	pid_vec list, fresh;
};

struct seizing {
	struct dump *d;
	uint64_t deadline_us;
	candidate_vec candidates;
	VEC(struct growing) growing;
	unsigned next_lane;
};

/* --- the model --- */

static int let_go(struct session *s, void *arg, unsigned lane)
{
	(void)s;
	(void)lane;
	dump_let_go(*(pid_t *)arg);
	return 0;
}

/* The child of the list has died, unseen, and somebody else's has its number. */
static int leave_stranger(struct session *s, const struct candidate *c)
{
	pid_t tid = c->tid;
	return c->th->seized ? lane_run(s, c->lane, let_go, &tid) : 0;
}

static int add_task(struct seizing *z, const struct candidate *c)
{
	struct session *s = z->d->s;
	if (c->parent && c->stat.ppid != c->parent->pid)
		return leave_stranger(s, c);
	struct task *t = task_new(s, &z->d->tree, c->parent, c->th->vtid);
	thread_add(s, t, c->th);
	t->pid = c->tid;
	t->stat = c->stat;
	t->pgid = t->stat.pgid;
	t->sid = t->stat.sid;
	if (c->how == SEIZED_ZOMBIE)
		t->state = TASK_DEAD;
	if (c->how == SEIZED_STOPPED) {
		t->state = TASK_STOPPED;
		t->stop_signo = c->signo;
	}
	bool alone = t->state == TASK_DEAD || leader(t)->status.threads == 1;
	*vec_push(&s->arena, &z->growing) = (struct growing){.t = t, .all_threads = alone};
	return 0;
}

/* All that were asked to stop are: they become part of the tree. */
static int record(struct seizing *z)
{
	int r = 0;
	for (size_t i = 0; i < z->candidates.n && r >= 0; i++) {
		const struct candidate *c = &z->candidates.v[i];
		if (!c->th)
			continue;
		if (c->task)
			thread_add(z->d->s, c->task, c->th);
		else
			r = add_task(z, c);
	}
	return r;
}

static int stop_round(struct seizing *z)
{
	struct session *s = z->d->s;
	size_t n_tasks = z->d->tree.tasks.n;
	vec_for_each (&z->candidates, c)
		n_tasks += !c->task;
	unsigned lanes = lanes_open(s, n_tasks >= MANY_TASKS);
	size_t n_threads = 0;
	vec_for_each (&z->candidates, c) {
		n_threads += c->task != NULL;
		if (c->task && !c->task->in_lanes)
			c->lane = leader(c->task)->lane;
		else
			c->lane = z->next_lane++ % lanes;
	}
	bool at_once = dump_open_records(z->d, 0, n_threads);
	int r = dump_stop_candidates(s, &z->candidates, z->deadline_us, at_once);
	if (r >= 0 && at_once)
		r = dump_read_statuses(z->d, &z->candidates);
	int recorded = record(z); /* after a failure too: who is in the model is let go */
	return r < 0 ? r : recorded;
}

/* --- lists --- */

static bool is_thread(const struct task *t, pid_t tid)
{
	vec_for_each (&t->threads, th)
		if ((*th)->tid == tid)
			return true;
	return false;
}

static bool is_child(const struct task *t, pid_t pid)
{
	vec_for_each (&t->children, c)
		if ((*c)->pid == pid)
			return true;
	return false;
}

/* What the list has beyond those that are known: usually nothing, or all of it. */
static void find_fresh(struct session *s, struct growing *g)
{
	const struct task *t = g->t;
	for (size_t i = 0; i < g->list.n; i++) {
		pid_t pid = g->list.v[i];
		bool known, same_place;
		if (g->all_threads) {
			same_place = i < t->children.n && t->children.v[i]->pid == pid;
			known = same_place || is_child(t, pid);
		} else {
			same_place = i < t->threads.n && t->threads.v[i]->tid == pid;
			known = same_place || is_thread(t, pid) || proc_is_io_worker(s, pid);
		}
		if (!known)
			*vec_push(&s->arena, &g->fresh) = pid;
	}
}

/* Of a zombie, not all threads are known. */
static int list_children(struct session *s, struct growing *g)
{
	const struct task *t = g->t;
	if (!task_lives(t))
		return proc_list_children(s, t->pid, &g->list);
	pid_vec tids = {0};
	for (size_t i = 0; i < (g->orphans_only ? 1 : t->threads.n); i++)
		*vec_push(&s->arena, &tids) = t->threads.v[i]->tid;
	return proc_list_children_of(s, t->pid, &tids, &g->list);
}

/* Was the leader's status read when all known ones were stopped, could no other be born any more.
 */
static int count_threads(struct session *s, struct growing *g)
{
	struct proc_status status;
	if (g->t->threads.n == 1)
		return 0;
	int r = proc_status_read(s, g->t->pid, &status);
	if (r == -ENOENT || r == -ESRCH)
		return 0;
	if (r < 0)
		return fail(s, r, "pid %d: read its status", g->t->pid);
	g->all_threads = status.threads == (int)g->t->threads.n;
	return 0;
}

static int list_threads(struct session *s, struct growing *g)
{
	int r = proc_list_tids(s, g->t->pid, &g->list);
	if (r == -ENOENT || r == -ESRCH)
		return 0;
	if (r < 0)
		return fail(s, r, "pid %d: list its threads", g->t->pid);
	find_fresh(s, g);
	g->all_threads = !g->fresh.n;
	return 0;
}

static int list_one(struct session *s, void *arg, size_t i)
{
	struct growing *g = &((struct seizing *)arg)->growing.v[i];
	size_t size = g->t->threads.n + g->t->children.n;
	g->vain_rounds = size > g->size ? 0 : g->vain_rounds + 1;
	g->size = size;
	g->list.n = g->fresh.n = 0;
	/* what changed is found when the others are stopped, and begun with once more */
	if (!g->all_threads && dump_leader_changed(g->t))
		return 0;
	int r = g->all_threads ? 0 : count_threads(s, g);
	if (r >= 0 && !g->all_threads)
		r = list_threads(s, g);
	if (r < 0 || !g->all_threads)
		return r;
	g->list.n = 0;
	r = list_children(s, g);
	if (r == -ENOENT || r == -ESRCH)
		return 0;
	if (r < 0)
		return fail(s, r, "pid %d: list its children", g->t->pid);
	find_fresh(s, g);
	return 0;
}

static int refuse_own_tree(struct session *s, const pid_vec *pids)
{
	vec_for_each (pids, pid)
		if (*pid == getpid())
			return fail_remedy(s, EINVAL, "run it from outside of that tree",
				"the tree to dump contains this tool itself (pid %d)", *pid);
	return 0;
}

/* While they still run. */
static int pause_devices(struct session *s, const pid_vec *pids)
{
	int r = 0;
	for (size_t i = 0; i < pids->n && r >= 0; i++)
		r = plugins_tell(s, CR_PLUGIN_HOOK__PAUSE_DEVICES, pids->v[i]);
	return r;
}

static int nominate(struct seizing *z, struct growing *g)
{
	struct session *s = z->d->s;
	struct task *t = g->t;
	int r = g->all_threads ? refuse_own_tree(s, &g->fresh) : 0;
	if (r >= 0 && g->all_threads)
		r = pause_devices(s, &g->fresh);
	if (g->vain_rounds > VAIN_ROUNDS)
		r = fail(s, EAGAIN, "pid %d: a %s of it is neither alive nor dead", t->pid,
			g->all_threads ? "child" : "thread");
	if (!g->all_threads && g->fresh.n >= MANY_THREADS)
		t->in_lanes = lanes_open(s, /* worth_it= */ true) > 1;
	vec_for_each (&g->fresh, pid)
		*vec_push(&s->arena, &z->candidates) = (struct candidate){
			.tid = *pid,
			.task = g->all_threads ? NULL : t,
			.parent = g->all_threads ? t : NULL,
		};
	return r;
}

/* Whom the lists have news of is to be stopped; the others' lists are exact. */
static int nominate_all(struct seizing *z)
{
	size_t n = 0;
	int r = 0;
	z->candidates.n = 0;
	for (size_t i = 0; i < z->growing.n && r >= 0; i++) {
		if (!z->growing.v[i].fresh.n)
			continue;
		z->growing.v[n] = z->growing.v[i];
		r = nominate(z, &z->growing.v[n++]);
	}
	z->growing.n = n;
	return r;
}

/* Who has died, or is about to, may need the processor that this thread is on. */
static void wait_for_the_dying(const struct seizing *z)
{
	int vain_rounds = VAIN_ROUNDS;
	vec_for_each (&z->growing, g)
		vain_rounds = g->vain_rounds < vain_rounds ? g->vain_rounds : vain_rounds;
	struct timespec nap = {.tv_nsec = vain_rounds * VAIN_NAP_NS};
	if (vain_rounds > 1)
		nanosleep(&nap, NULL);
}

static int stop_all_growing(struct seizing *z)
{
	int r = 0;
	while (z->growing.n && r >= 0) {
		wait_for_the_dying(z);
		r = share_out(z->d->s, z->growing.n, list_one, z);
		if (r >= 0)
			r = nominate_all(z);
		if (r >= 0 && z->candidates.n)
			r = stop_round(z);
	}
	return r;
}

static void check_task(struct session *s, const struct task *t)
{
	if (t->state == TASK_DEAD && t->children.n)
		block(s, t->pid, NULL, "is a zombie that still has children");
	if (t->state == TASK_DEAD && t->stat.num_threads > 1)
		block(s, t->pid, NULL, "its main thread has exited while other threads go on");
	if (t->sid == 0)
		block(s, t->pid, NULL, "its session belongs to another PID namespace");
	if (t->state != TASK_DEAD && leader(t)->status.n_nspid > 1)
		block(s, t->pid, NULL,
			"lives in a PID namespace of its own, which is not supported yet");
}

static void check_root(struct session *s, const struct task *root)
{
	if (root->state == TASK_DEAD)
		block(s, root->pid, NULL, "is a zombie: nothing is left to dump");
	else if (root->sid != root->pid && !s->opt->shell_job)
		block(s, root->pid, "use --shell-job",
			"is not a session leader (its session is %d)", root->sid);
}

static int seize_root(struct seizing *z)
{
	struct session *s = z->d->s;
	pid_t pid = s->opt->tree;
	z->candidates.n = 0;
	struct proc_stat stat;
	int r = proc_stat_read(s, pid, &stat);
	if (r == -ENOENT || r == -ESRCH)
		return fail(s, ESRCH, "there is no process with PID %d", pid);
	if (r < 0)
		return fail(s, r, "pid %d: read its state", pid);
	if (proc_is_kthread(&stat))
		return fail(s, EINVAL, "pid %d (%s) is a kernel thread", pid, stat.comm);
	struct proc_status status;
	if (proc_status_read(s, pid, &status) >= 0 && status.tgid != pid)
		return fail_remedy(s, EINVAL, arena_printf(&s->arena, "use -t %d", status.tgid),
			"%d is a thread of process %d", pid, status.tgid);
	r = refuse_own_tree(s, &(pid_vec){.v = &pid, .n = 1});
	if (r >= 0)
		r = pause_devices(s, &(pid_vec){.v = &pid, .n = 1});
	if (r < 0)
		return r;
	*vec_push(&s->arena, &z->candidates) = (struct candidate){.tid = pid};
	r = stop_round(z);
	if (r >= 0 && !z->d->tree.root)
		return fail(s, ESRCH, "pid %d died before it could be stopped", pid);
	return r;
}

/* Only who has descendants can be left their orphans; or the init of a PID namespace. */
static bool may_adopt(const struct task *t)
{
	return t->children.n || t->vpid == 1;
}

/* Late births: orphans that a subreaper of the tree adopted meanwhile. */
static int seize_orphans(struct seizing *z)
{
	const struct tree *tree = &z->d->tree;
	size_t before = 1;
	int r = 0;
	while (r >= 0 && before != tree->tasks.n) {
		before = tree->tasks.n;
		vec_for_each (&tree->tasks, t)
			if (may_adopt(*t))
				*vec_push(&z->d->s->arena, &z->growing) = (struct growing){
					.t = *t, .all_threads = true, .orphans_only = true};
		r = stop_all_growing(z);
	}
	return r;
}

static int begin_again(struct seizing *z, struct task *changed)
{
	struct session *s = z->d->s;
	struct task *parent = changed->parent;
	if (z->deadline_us && now_us() > z->deadline_us)
		return fail_remedy(s, ETIMEDOUT, "try again, or raise --timeout",
			"pid %d executes programs or ends faster than it can be stopped",
			changed->pid);
	int r = dump_forget(s, &z->d->tree, changed);
	if (r >= 0 && !parent)
		return seize_root(z);
	*vec_push(&s->arena, &z->growing) = (struct growing){.t = parent, .all_threads = true};
	return r;
}

static void put_in_order(struct tree *tree, struct task *t)
{
	t->index = (uint32_t)tree->tasks.n;
	tree->tasks.v[tree->tasks.n++] = t;
	vec_for_each (&t->children, child)
		put_in_order(tree, *child);
}

static int stop_tree(struct seizing *z)
{
	uint32_t timeout_s = z->d->s->opt->timeout;
	z->deadline_us = timeout_s ? now_us() + timeout_s * UINT64_C(1000000) : 0;
	seize_without_sigchld();
	int r = seize_root(z);
	for (struct task *changed = NULL; r >= 0; changed = NULL) {
		r = stop_all_growing(z);
		if (r >= 0)
			r = seize_orphans(z);
		if (r >= 0)
			r = dump_find_changed(z->d->s, &z->d->tree, &changed);
		if (r < 0 || !changed)
			break;
		r = begin_again(z, changed);
	}
	return r;
}

int dump_seize_tree(struct dump *d)
{
	struct session *s = d->s;
	struct seizing z = {.d = d};
	int r = stop_tree(&z);
	if (r < 0)
		return r;
	d->tree.tasks.n = 0; /* depth-first from here on */
	put_in_order(&d->tree, d->tree.root);
	check_root(s, d->tree.root);
	vec_for_each (&d->tree.tasks, t)
		check_task(s, *t);
	d->stopped_us = now_us();
	s->stats.freezing_us = (uint32_t)(d->stopped_us - d->start_us);
	log_info(s, "Stopped %zu tasks in %u us", d->tree.tasks.n, s->stats.freezing_us);
	return 0;
}
