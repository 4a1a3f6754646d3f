/*
 * The model of the tree from its images, checked: what does not fit together is found before
 * anything is forked.
 */
#include "restore/restore_tree.h"

#include <errno.h>
#include <stdlib.h>

#include "base/share.h"
#include "cli/options.h"
#include "image/codec.h"
#include "inventory.pb-c.h"
#include "plugin/plugin.h"
#include "task/exit_signal.h"
#include "task/extras.h"
#include "task/seccomp.h"

enum { IMG_VERSION = 2 };

static int load_inventory(struct restore *re, const InventoryEntry **ret)
{
	struct session *s = re->s;
	ProtobufCMessage *m;
	int r = image_read_one(s, IMG_INVENTORY, 0, &m);
	if (r == -ENOENT)
		return fail_remedy(s, r, "check -D; a dump that failed leaves no inventory.img",
			"%s holds no complete set of images", s->images->path);
	if (r < 0)
		return r;
	const InventoryEntry *inv = (const InventoryEntry *)m;
	if (inv->img_version == 0)
		return fail(s, EINVAL, "%s is a pre-dump, which cannot be restored by itself",
			s->images->path);
	if (inv->img_version != IMG_VERSION || !inv->fdinfo_per_id)
		return fail(s, EOPNOTSUPP, "images of version %u are not supported", inv->img_version);
	re->tree.run_id = inv->dump_criu_run_id;
	re->tree.network_lock = inv->has_network_lock_method ? (int)inv->network_lock_method : NETLOCK_IPTABLES;
	re->tree.tcp_close = inv->has_tcp_close && inv->tcp_close;
	*ret = inv;
	return 0;
}

static int add_task(struct restore *re, const PstreeEntry *e)
{
	struct session *s = re->s;
	struct task *parent = e->ppid ? tree_find(&re->tree, (pid_t)e->ppid) : NULL;
		if (!parent != !re->tree.root)
		return fail(s, EBADMSG, "pstree.img: pid %u has no parent in the tree", e->pid);
	struct task *t = task_new(s, &re->tree, parent, (pid_t)e->pid);
	t->pgid = (pid_t)e->pgid;
	t->sid = (pid_t)e->sid;
	thread_new(s, t, t->vpid);
	for (size_t i = 1; i < e->n_threads; i++)
		thread_new(s, t, (pid_t)e->threads[i]);
	return 0;
}

static int load_pstree(struct restore *re)
{
	ProtobufCMessage **all;
	size_t n;
	int r = image_read_all(re->s, IMG_PSTREE, 0, &all, &n);
	if (r >= 0 && !n)
		r = fail(re->s, ENOENT, "pstree.img is missing or empty");
	for (size_t i = 0; i < n && r >= 0; i++)
		r = add_task(re, (const PstreeEntry *)all[i]);
	return r;
}

static int load_core(struct session *s, struct thread *th)
{
	ProtobufCMessage *m;
	int r = image_read_one(s, IMG_CORE, (uint64_t)th->vtid, &m);
	if (r == -ENOENT)
		return fail(s, r, "core-%d.img is missing", th->vtid);
	if (r < 0)
		return r;
	th->core = (CoreEntry *)m;
	bool is_leader = th == leader(th->task);
	if (is_leader != (th->core->tc != NULL))
		return fail(s, EBADMSG, "core-%d.img: %s", th->vtid,
			is_leader ? "the part of the process is missing" : "is of a whole process");
	return 0;
}

static int load_live_core(struct session *s, struct thread *th)
{
	int r = th->core ? 0 : load_core(s, th);
	if (r < 0)
		return r;
	if (!th->core->thread_core)
		return fail(s, EBADMSG, "core-%d.img: the part of the thread is missing", th->vtid);
	r = arch_core_load(s, th->core, &th->regs);
	if (r < 0)
		r = postpone(s, fail_context(s, r, "pid %d thread %d", th->task->vpid, th->vtid));
	if (r < 0)
		return r;
	return aspects_check(s, th);
}

static int load_one(struct session *s, enum image_type type, const char *what, const struct task *t,
	void *ret)
{
	ProtobufCMessage *m;
	int r = image_read_one(s, type, (uint64_t)t->vpid, &m);
	if (r == -ENOENT)
		return fail(s, r, "%s-%d.img is missing", what, t->vpid);
	if (r >= 0)
		memcpy(ret, &m, sizeof(m));
	return r;
}

static int load_live_task(struct session *s, struct task *t)
{
	int r = load_one(s, IMG_MM, "mm", t, &t->mm);
	if (r >= 0)
		r = load_one(s, IMG_IDS, "ids", t, &t->ids);
	if (r >= 0)
		r = extras_load_image(s, t);
	if (r >= 0)
		r = load_live_core(s, leader(t));
	if (r >= 0)
		r = mem_load(s, t);
	return r;
}

static int load_zombie(struct session *s, struct task *t)
{
	if (t->children.n)
		return fail(s, EBADMSG, "pid %d is a zombie with children", t->vpid);
	int r = extras_load_image(s, t);
	return r < 0 ? r : exit_signal_check(s, t);
}

static int load_task(struct session *s, struct task *t)
{
	int r = load_core(s, leader(t));
	if (r < 0)
		return r;
	t->state = leader(t)->core->tc->task_state;
	switch ((int)t->state) {
	case TASK_ALIVE:
	case TASK_STOPPED:
		return load_live_task(s, t);
	case TASK_DEAD:
	case 6: /* the reference's internal name for a zombie; never stored, but harmless */
		t->state = TASK_DEAD;
		t->threads.n = 1;
		return load_zombie(s, t);
	default:
		return fail(s, EBADMSG, "core-%d.img: task state %d is not known", t->vpid, (int)t->state);
	}
}

static int by_number(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
	return (x > y) - (x < y);
}

typedef VEC(struct thread *) thread_vec;

static int load_thread(struct session *s, void *threads, size_t i)
{
	return load_live_core(s, ((thread_vec *)threads)->v[i]);
}

static int load_other_task(struct session *s, void *tree, size_t i)
{
	return load_task(s, ((struct tree *)tree)->tasks.v[i + 1]);
}

/*
 * The root first and alone: it leaves in the tree what is found out once (own_creds ...). Then the
 * processes, since what the aspects of a thread check may lie with its process.
 */
static int load_tasks(struct session *s, struct tree *tree)
{
	int r = load_task(s, tree->root);
	if (r >= 0)
		r = share_out(s, tree->tasks.n - 1, load_other_task, tree);
	thread_vec others = {0};
	vec_for_each(&tree->tasks, t)
		for (size_t i = 1; i < (*t)->threads.n; i++)
			*vec_push(&s->arena, &others) = (*t)->threads.v[i];
	return r < 0 ? r : share_out(s, others.n, load_thread, &others);
}

/* Every PID and TID once, and in range. */
static int check_ids(struct restore *re)
{
	pid_vec ids = {0};
	vec_for_each(&re->tree.tasks, t)
		vec_for_each(&(*t)->threads, th)
			*vec_push(&re->s->arena, &ids) = (*th)->vtid;
	if (ids.n)
		qsort(ids.v, ids.n, sizeof(ids.v[0]), by_number);
	for (size_t i = 0; i < ids.n; i++)
		if (ids.v[i] <= 0 || (i && ids.v[i] == ids.v[i - 1]))
			return fail(re->s, EBADMSG, "pstree.img: the number %d %s", ids.v[i],
				ids.v[i] <= 0 ? "cannot be a thread's" : "belongs to two threads");
	return 0;
}

static int start_plugins(struct restore *re, const InventoryEntry *inv)
{
	if (!plugins_may_run(re->s))
		return 0;
	int r = plugins_start(re->s, CR_PLUGIN_STAGE__RESTORE, inv);
	return r < 0 ? r : plugins_tell(re->s, CR_PLUGIN_HOOK__RESTORE_INIT, 0);
}

int restore_load_tree(struct restore *re)
{
	struct session *s = re->s;
	const InventoryEntry *inv = NULL;
	int r = load_inventory(re, &inv);
	if (r >= 0)
		r = load_pstree(re);
	if (r >= 0)
		r = check_ids(re);
	if (r >= 0)
		r = start_plugins(re, inv);
	if (r >= 0)
		r = seccomp_load_image(s, &re->tree);
	if (r >= 0)
		r = load_tasks(s, &re->tree);
	if (r >= 0 && !task_lives(re->tree.root))
		r = fail(s, EINVAL, "pid %d, the root of the tree, is a zombie", re->tree.root->vpid);
	return r;
}
