/*
 * The restore pipeline: read and check everything, then make stubs, turn them into the tasks of
 * the images, and let them go.  A failure before that point leaves nothing behind.
 */
#include "restore/restore.h"

#include <errno.h>

#include "cli/cpuinfo.h"
#include "cli/hook.h"
#include "cli/options.h"
#include "engine/seize.h"
#include "file/external.h"
#include "image/checksum.h"
#include "image/stats.h"
#include "ipc/ipc.h"
#include "plugin/plugin.h"
#include "restore/restore_tree.h"

static int load_images(struct restore *re)
{
	int r = checksums_verify(re->s);
	if (r >= 0)
		r = restore_load_tree(re);
	if (r >= 0)
		r = ipc_load(re->s, &re->tree);
	if (r >= 0)
		r = file_load(re->s, &re->tree, &re->files);
	if (r >= 0)
		r = restore_check_unread(re);
	return r < 0 ? r : restore_arrange_sessions(re);
}

int restore_check_images(struct session *s)
{
	struct restore re = {.s = s, .stubs = STUBS_NONE};
	s->images_only = true;
	int r = load_images(&re);
	vec_for_each(&re.tree.tasks, t)
		mem_release(s, *t);
	return r;
}

static int load(struct restore *re)
{
	int r = cpuinfo_check_if_asked(re->s);
	if (r >= 0)
		r = external_check(re->s);
	if (r >= 0)
		r = load_images(re);
	if (r >= 0)
		r = recall(re->s);
	for (size_t i = 1; i < re->tree.tasks.n && r >= 0; i++)
		if (task_lives(re->tree.tasks.v[i]) && task_lives(re->tree.tasks.v[i]->parent))
			r = mem_inherit(re->s, re->tree.tasks.v[i]);
	return r < 0 ? r : restore_check_pids(re);
}

static int make_region(struct restore *re)
{
	size_t n_tasks = re->tree.tasks.n, n_threads = 0;
	vec_for_each(&re->tree.tasks, t)
		n_threads += (*t)->threads.n - 1;
	int services[STUB_SERVICES];
	for (int i = 0; i < STUB_SERVICES; i++)
		services[i] = file_free_number(re->files, i ? services[i - 1] : -1);
	uint64_t addr = 0, len = stubs_region_size(n_tasks, n_threads);
	int r = mem_find_hole(re->s, &re->tree, len, &addr);
	while (r >= 0 && (r = stubs_init(re->s, &re->stubs, n_tasks, n_threads, addr, services)) == -EEXIST) {
		addr += len;
		r = mem_find_hole(re->s, &re->tree, len, &addr);
	}
	re->stubs.explain = re->s->opt->explain ? stdout : NULL;
	return r;
}

static int recreate(struct restore *re)
{
	uint64_t start = now_us();
	int r = make_region(re);
	if (r >= 0 && !re->stubs.explain)
		r = ipc_make(re->s, &re->tree);
	if (r >= 0)
		r = restore_births(re);
	if (r >= 0 && !re->stubs.explain)
		r = plugins_tell(re->s, CR_PLUGIN_HOOK__POST_FORKING, 0);
	re->s->stats.forking_us = (uint32_t)(now_us() - start);
	if (r >= 0)
		r = restore_settle(re);
	if (r >= 0 && !re->stubs.explain)
		r = shm_settle(re->s, &re->tree);
	if (r >= 0)
		r = restore_take_over(re);
	return r;
}

static int run(struct session *s)
{
	struct restore re = {.s = s, .stubs = STUBS_NONE};
	uint64_t start = now_us();
	int r = load(&re);
	if (r >= 0 && !s->opt->explain)
		r = hook_run(s, HOOK_PRE_RESTORE);
	if (r < 0)
		return r;
	seize_without_sigchld();
	r = recreate(&re);
	if (r < 0 || re.stubs.explain) {
		stubs_kill(&re.stubs);
		file_restore_undo(re.files);
		ipc_undo(&re.tree);
	}
	ipc_keep(&re.tree);
	vec_for_each(&re.tree.tasks, t)
		mem_release(s, *t);
	stubs_release(&re.stubs);
	s->stats.restore_us = (uint32_t)(now_us() - start);
	if (r >= 0 && !s->opt->explain && stats_write_restore(s) < 0) /* the tasks run */
		log_warn(s, "stats-restore could not be written: %s", s->failure.message);
	return r;
}

int restore_run(struct session *s)
{
	int r = run(s);
	plugins_finish(s, r);
	return r;
}
