/*
 * The dump pipeline: stop the tree, read it, give the verdict, write it, let it go.
 *
 * Nothing is written before every blocker of the tree is known, and the tasks are killed only
 * when the last image is complete.  On any failure they go on as they were.
 */
#include "dump/dump.h"

#include <errno.h>

#include "cli/cpuinfo.h"
#include "cli/hook.h"
#include "cli/options.h"
#include "dump/dump_tree.h"
#include "file/external.h"
#include "image/checksum.h"
#include "image/dir.h"
#include "image/stats.h"
#include "ipc/ipc.h"
#include "mem/aio.h"
#include "plugin/plugin.h"
#include "task/landlock.h"
#include "task/seccomp.h"
#include "task/sigqueue.h"

/* Adjustments of semaphores, of the few tasks that may have any. */
static int ask_semaphores_of(struct session *s, void *arg, unsigned lane)
{
	(void)lane;
	struct task *t = arg;
	struct visit *v = NULL;
	int r = dump_begin_visit(s, t, visit_begin, &v);
	if (r >= 0)
		r = sem_undo_read(s, t, v);
	int left = visit_end(v);
	return r < 0 ? r : left;
}

static int ask_semaphores(struct dump *d)
{
	int r = 0;
	for (size_t i = 0; i < d->tree.tasks.n && r >= 0; i++) {
		struct task *t = d->tree.tasks.v[i];
		if (t->may_undo)
			r = lane_run(d->s, leader(t)->lane, ask_semaphores_of, t);
	}
	return r;
}

static int checkpoint_devices(struct dump *d)
{
	int r = 0;
	for (size_t i = 0; i < d->tree.tasks.n && r >= 0; i++)
		if (task_lives(d->tree.tasks.v[i]))
			r = plugins_tell(d->s, CR_PLUGIN_HOOK__CHECKPOINT_DEVICES,
				d->tree.tasks.v[i]->pid);
	return r;
}

static int collect(struct dump *d)
{
	struct session *s = d->s;
	d->start_us = now_us();
	int r = external_check(s);
	if (r >= 0)
		r = dump_seize_tree(d);
	if (r >= 0)
		r = checkpoint_devices(d);
	if (r >= 0 && !d->dry)
		r = hook_run(s, HOOK_QUERY_EXT_FILES);
	if (r >= 0)
		r = dump_read_tasks(d);
	if (r >= 0)
		r = dump_check_cgroups(d);
	if (r >= 0)
		r = file_dump_begin(s, &d->tree, d->dry, &d->files);
	landlock_prepare(s, &d->tree);
	if (r >= 0)
		r = dump_collect_tasks(d);
	if (r >= 0)
		seccomp_collect(s, &d->tree);
	if (r >= 0)
		r = file_dump_check(d->files);
	if (r >= 0)
		r = ipc_collect(s, &d->tree);
	if (r >= 0)
		r = ask_semaphores(d);
	return r < 0 || d->dry ? r : aio_quiesce(s, &d->tree);
}

int dump_collect(struct dump *d)
{
	int r = collect(d);
	landlock_dismiss(&d->tree);
	return r;
}

static int verdict(struct session *s)
{
	if (!s->blockers.n)
		return 0;
	return fail(s, EOPNOTSUPP, "%zu obstacle%s to a dump", s->blockers.n,
		s->blockers.n == 1 ? "" : "s");
}

static int read_signals_again(struct session *s, void *arg, unsigned lane)
{
	const struct dump *d = arg;
	return sigqueue_read_again(s, &d->tree, lane, d->stopped_us);
}

/* A set that is about to be overwritten is no longer complete, nor are its checksums true. */
static int begin_images(struct dump *d)
{
	struct session *s = d->s;
	if (s->opt->checksum)
		checksums_begin(s);
	int r = replaced_set_aside(s, &d->replaced);
	if (r >= 0)
		r = image_unlink(s, s->images, IMG_INVENTORY, 0);
	return r < 0 ? r : image_unlink(s, s->images, IMG_FERMATA_CHECKSUMS, 0);
}

static int write_all(struct dump *d)
{
	struct session *s = d->s;
	int r = begin_images(d);
	if (r >= 0)
		r = seccomp_write_image(s, &d->tree);
	if (r >= 0)
		r = ipc_write(s, &d->tree);
	if (r >= 0)
		r = file_dump_terminals(d->files);
	if (r >= 0)
		r = lanes_run(s, read_signals_again, d);
	if (r >= 0)
		r = verdict(s);
	if (r >= 0)
		r = dump_write_tasks(d);
	if (r >= 0)
		r = file_dump_finish(d->files);
	if (r >= 0)
		r = plugins_tell(s, CR_PLUGIN_HOOK__DUMP_DEVICES_LATE, d->tree.root->pid);
	if (r >= 0)
		r = dump_write_tree(d);
	if (r >= 0)
		r = aio_verify(s, &d->tree);
	if (r >= 0)
		r = cpuinfo_dump_if_asked(s);
	return r < 0 ? r : dump_write_inventory(d);
}

static enum release how_to_release(const struct options *opt, int result)
{
	if (result < 0 || opt->leave_running)
		return RELEASE_AS_IT_WAS;
	return opt->leave_stopped ? RELEASE_STOPPED : RELEASE_KILLED;
}

/* The images are complete; whoever waits for that may still object. */
static int ask_scripts(struct session *s)
{
	int r = hook_run(s, HOOK_POST_DUMP);
	if (r < 0)
		s->exit_status = 255; /* as scripts around the reference expect */
	return r;
}

int dump_run(struct session *s)
{
	struct dump d = {.s = s, .replaced = REPLACED_NONE};
	s->root_pid = s->opt->tree;
	int r = hook_run(s, HOOK_PRE_DUMP);
	if (r < 0)
		return r;
	r = plugins_start(s, CR_PLUGIN_STAGE__DUMP, NULL);
	if (r >= 0)
		r = dump_collect(&d);
	if (r >= 0)
		r = verdict(s);
	if (r >= 0)
		r = write_all(&d);
	bool complete = r >= 0;
	if (r >= 0)
		r = ask_scripts(s);
	plugins_finish(s, r);
	enum release how = how_to_release(s->opt, r);
	if (how != RELEASE_KILLED && how != RELEASE_STOPPED && d.files)
		file_dump_undo(d.files);
	if (how != RELEASE_KILLED && d.files)
		file_dump_resume(d.files);
	dump_release(&d, how);
	if (how == RELEASE_KILLED)
		file_dump_done(d.files);
	s->stats.frozen_us = (uint32_t)(now_us() - d.stopped_us);
	replaced_end(s, &d.replaced, complete);
	if (r >= 0) {
		log_info(s, "Tasks were stopped for %u us", s->stats.frozen_us);
		if (stats_write_dump(s) < 0) /* the images are complete: this is no reason to fail */
			log_warn(s, "stats-dump could not be written: %s", s->failure.message);
	}
	return r;
}
