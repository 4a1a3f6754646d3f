/* Images of tasks and of the tree as a whole. */
#include "dump/dump_tree.h"

#include <time.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/share.h"
#include "cli/options.h"
#include "image/checksum.h"
#include "image/codec.h"
#include "mem/pages_dump.h"
#include "inventory.pb-c.h"
#include "namespace.pb-c.h"
#include "plugin/plugin.h"
#include "task/exit_signal.h"
#include "task/extras.h"

static int write_core(struct session *s, const struct thread *th)
{
	return image_write_one(s, IMG_CORE, (uint64_t)th->vtid, &th->core->base);
}

/* A zombie keeps its name, how it ended and who was to learn of it. */
static int write_zombie(struct session *s, struct task *t)
{
	CoreEntry core = CORE_ENTRY__INIT;
	TaskCoreEntry tc = TASK_CORE_ENTRY__INIT;
	core.mtype = (CoreEntry__March)arch_core_mtype();
	core.tc = &tc;
	tc.task_state = TASK_DEAD;
	tc.exit_code = (uint32_t)t->stat.exit_code;
	tc.comm = (char *)(uintptr_t)t->stat.comm;
	exit_signal_keep(s, t);
	int r = image_write_one(s, IMG_CORE, (uint64_t)t->vpid, &core.base);
	return r < 0 ? r : extras_write_image(s, t);
}

static int write_images(struct session *s, struct task *t)
{
	if (!task_lives(t))
		return write_zombie(s, t);
	TaskCoreEntry *tc = leader(t)->core->tc;
	/* a stop signal that was pending, or came meanwhile, counts as delivered; so does SIGCONT */
	bool stopped = t->stop_signo && !t->continued;
	tc->task_state = stopped ? TASK_STOPPED : TASK_ALIVE;
	if (stopped) {
		tc->has_stop_signo = 1;
		tc->stop_signo = (uint32_t)t->stop_signo;
	}
	int r = write_core(s, leader(t));
	if (r >= 0)
		r = extras_write_image(s, t);
	if (r >= 0)
		r = image_write_one(s, IMG_MM, (uint64_t)t->vpid, &t->mm->base);
	if (r >= 0)
		r = image_write_one(s, IMG_IDS, (uint64_t)t->vpid, &t->ids->base);
	return r;
}

struct writing {
	struct dump *d;
	bool *pages_done; /* of each task: are its pages written in a visit, before all else? */
	unsigned n_writing; /* tasks that are at it */
	VEC(const struct thread *) others; /* than leaders */
	size_t next; /* of these */
};

static int write_task(struct session *s, void *arg, size_t i)
{
	const struct writing *w = arg;
	struct task *t = w->d->tree.tasks.v[i];
	int r = 0;
	if (task_lives(t) && !w->pages_done[i])
		r = pages_dump_task(s, t, w->d->vmas[i], NULL);
	return r < 0 ? r : write_images(s, t);
}

static void tell_size(const struct dump *d)
{
	for (size_t i = 0; d->s->progress && i < d->tree.tasks.n; i++)
		if (task_lives(d->tree.tasks.v[i]))
			progress_expect(d->s, pages_predict(d->vmas[i]));
}

static int visit_pages(
	struct session *s, struct writing *w, struct task *t, struct vma_dump *vmas)
{
	struct visit *v = NULL;
	vmas->n_writing = &w->n_writing;
	__atomic_fetch_add(&w->n_writing, 1, __ATOMIC_RELAXED);
	int r = dump_begin_visit(s, t, visit_begin, &v);
	if (r >= 0)
		r = pages_dump_task(s, t, vmas, v);
	int left = visit_end(v);
	__atomic_fetch_sub(&w->n_writing, 1, __ATOMIC_RELAXED);
	vmas->n_writing = NULL;
	return r < 0 ? r : left;
}

/* What takes a visit, each by its tracer. */
static int visit_mine(struct session *s, struct writing *w, unsigned lane)
{
	struct dump *d = w->d;
	int r = 0;
	for (size_t i = 0; i < d->tree.tasks.n && r >= 0; i++) {
		struct task *t = d->tree.tasks.v[i];
		if (__atomic_load_n(&d->failed, __ATOMIC_RELAXED))
			break;
		if (w->pages_done[i] && leader(t)->lane == lane)
			r = visit_pages(s, w, t, d->vmas[i]);
	}
	return r;
}

/* Their cores hold nothing that may still change; a leader's says whether its task is stopped. */
static int write_others(struct session *s, struct writing *w)
{
	int r = 0;
	while (r >= 0 && !__atomic_load_n(&w->d->failed, __ATOMIC_RELAXED)) {
		size_t i = __atomic_fetch_add(&w->next, 1, __ATOMIC_RELAXED);
		if (i >= w->others.n)
			break;
		r = write_core(s, w->others.v[i]);
	}
	return r;
}

static int write_mine(struct session *s, void *arg, unsigned lane)
{
	struct writing *w = arg;
	int r = visit_mine(s, w, lane);
	if (r >= 0)
		r = write_others(s, w);
	if (r < 0)
		__atomic_store_n(&w->d->failed, true, __ATOMIC_RELAXED);
	return r;
}

int dump_write_tasks(struct dump *d)
{
	struct session *s = d->s;
	size_t n = d->tree.tasks.n;
	struct writing w = {.d = d, .pages_done = arena_array(&s->arena, bool, n)};
	int r = 0;
	tell_size(d);
	for (size_t i = 0; i < n && r >= 0; i++) {
		const struct task *t = d->tree.tasks.v[i];
		if (!task_lives(t))
			continue;
		r = pages_prepare(d->vmas[i]);
		w.pages_done[i] = r > 0;
		for (size_t k = 1; k < t->threads.n; k++)
			*vec_push(&s->arena, &w.others) = t->threads.v[k];
	}
	if (r >= 0)
		r = lanes_run(s, write_mine, &w);
	return r < 0 ? r : share_out(s, n, write_task, &w);
}

static int write_pstree_entry(struct session *s, struct image_writer *w, const struct task *t)
{
	PstreeEntry e = PSTREE_ENTRY__INIT;
	e.pid = (uint32_t)t->vpid;
	e.ppid = t->parent ? (uint32_t)t->parent->vpid : 0;
	e.pgid = (uint32_t)t->pgid;
	e.sid = (uint32_t)t->sid;
	e.n_threads = t->threads.n;
	e.threads = arena_array(&s->arena, uint32_t, t->threads.n);
	for (size_t i = 0; i < t->threads.n; i++)
		e.threads[i] = (uint32_t)t->threads.v[i]->vtid;
	return image_write(s, w, &e.base);
}

/* Parents before children: depth-first from the root, whatever order they were found in. */
static int write_subtree(struct session *s, struct image_writer *w, const struct task *t)
{
	int r = write_pstree_entry(s, w, t);
	vec_for_each(&t->children, child)
		if (r >= 0)
			r = write_subtree(s, w, *child);
	return r;
}

static int write_timens(struct session *s)
{
	struct timespec mono, boot;
	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	TimensEntry e = TIMENS_ENTRY__INIT;
	Timespec m = TIMESPEC__INIT, b = TIMESPEC__INIT;
	m.tv_sec = (uint64_t)mono.tv_sec;
	m.tv_nsec = (uint64_t)mono.tv_nsec;
	b.tv_sec = (uint64_t)boot.tv_sec;
	b.tv_nsec = (uint64_t)boot.tv_nsec;
	e.monotonic = &m;
	e.boottime = &b;
	return image_write_one(s, IMG_TIMENS, 0, &e.base);
}

int dump_write_tree(struct dump *d)
{
	struct session *s = d->s;
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, s->images, IMG_PSTREE, 0);
	int r = write_subtree(s, &w, d->tree.root);
	if (r >= 0)
		r = image_writer_close(s, &w);
	if (r >= 0)
		r = write_timens(s);
	return r;
}

/* The last image of a dump: its presence tells that the set is complete, and its checksums there. */
static int write_last(struct session *s, const InventoryEntry *e)
{
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, s->images, IMG_INVENTORY, 0);
	int r = image_write(s, &w, &e->base);
	if (r >= 0 && s->checksums)
		r = checksums_write(s, &w);
	if (r >= 0)
		r = image_writer_close(s, &w);
	if (r < 0) /* a part of it would pass for a whole dump */
		unlinkat(s->images->fd, "inventory.img", 0);
	return r;
}

int dump_write_inventory(struct dump *d)
{
	InventoryEntry e = INVENTORY_ENTRY__INIT;
	PluginsEntry plugins = PLUGINS_ENTRY__INIT;
	TaskKobjIdsEntry ids = *d->tree.root->ids;
	ids.vm_id = ids.files_id = ids.fs_id = ids.sighand_id = 1;
	e.img_version = 2;
	e.has_fdinfo_per_id = e.fdinfo_per_id = 1;
	e.root_ids = &ids;
	e.has_ns_per_id = e.ns_per_id = 1;
	e.has_root_cg_set = 1;
	e.root_cg_set = 1;
	e.has_lsmtype = 1;
	e.lsmtype = LSMTYPE__NO_LSM;
	e.has_network_lock_method = 1;
	e.network_lock_method = (uint32_t)d->tree.network_lock;
	e.has_tcp_close = d->s->opt->tcp_close;
	e.tcp_close = d->s->opt->tcp_close;
	plugins_store(d->s, &plugins);
	e.plugins_entry = &plugins;
	e.dump_criu_run_id = d->s->run_id;
	return write_last(d->s, &e);
}
