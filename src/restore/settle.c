/*
 * Settling: from bare stubs with their inherited memory to complete tasks.
 *
 * What tasks do on their own is started for all of them before any is waited for.
 */
#include "restore/restore_tree.h"

#include "base/progress.h"
#include "ipc/ipc.h"
#include "mem/aio.h"

enum { LARGE_MEMORY = 4 << 20 }; /* bytes from which two threads pay */

struct program *restore_fresh_program(struct restore *re, struct thread *th)
{
	struct arena *a = &re->s->arena;
	const struct task *t = th->task;
	program_init(&th->program, re->s,
		th == leader(t) ? arena_printf(a, "pid %d", t->vpid)
				: arena_printf(a, "pid %d thread %d", t->vpid, th->vtid));
	return &th->program;
}

/* Starts it, or does all of it; end_memory() waits. */
static int begin_memory(struct restore *re, struct task *t)
{
	bool large = mem_image_bytes(t) >= LARGE_MEMORY && mem_can_fill_outside();
	struct program *p = restore_fresh_program(re, leader(t));
	int r = 0;
	if (mem_needs_files(t, /* early= */ false))
		r = stub_take_lane(&re->stubs, leader(t));
	if (r >= 0)
		r = mem_plan_map(&re->stubs, re->files, t, p);
	uint64_t before = progress_mark(re->s);
	if (r >= 0 && large) {
		r = stub_play(&re->stubs, leader(t), p);
		if (r >= 0)
			r = mem_fill_outside(&re->stubs, t);
		p = restore_fresh_program(re, leader(t));
	} else if (r >= 0) {
		r = mem_plan_fill(&re->stubs, t, p);
	}
	if (r < 0)
		return r;
	if (!t->children.n)
		mem_release(re->s, t); /* only children compare with its pages */
	progress_reach(re->s, before + mem_image_bytes(t));
	mem_plan_final(t, p);
	return stub_start(&re->stubs, leader(t), p);
}

static int end_memory(struct restore *re, struct task *t)
{
	int r = stub_wait(&re->stubs, leader(t), &leader(t)->program);
	if (r >= 0)
		r = mem_finish(&re->stubs, t);
	return r;
}

static int begin_aspects(struct restore *re, struct task *t)
{
	struct program *p = restore_fresh_program(re, leader(t));
	int r = file_plan_fs(re->files, t, p);
	if (r >= 0)
		r = aspects_plan(re->s, leader(t), p);
	return r < 0 ? r : stub_start(&re->stubs, leader(t), p);
}

static int end_aspects(struct restore *re, struct task *t)
{
	int r = stub_wait(&re->stubs, leader(t), &leader(t)->program);
	if (r >= 0)
		r = aspects_finish(re->s, leader(t));
	return r < 0 ? r : restore_late_threads(re, t);
}

int restore_each_living(struct restore *re, int (*step)(struct restore *, struct task *))
{
	int r = 0;
	for (size_t i = 0; i < re->tree.tasks.n && r >= 0; i++)
		if (task_lives(re->tree.tasks.v[i]))
			r = step(re, re->tree.tasks.v[i]);
	return r;
}

static int make_aio_contexts(struct restore *re, struct task *t)
{
	return aio_restore(&re->stubs, t);
}

static int tell_size(struct restore *re, struct task *t)
{
	progress_expect(re->s, mem_image_bytes(t));
	return 0;
}

int restore_settle(struct restore *re)
{
	restore_each_living(re, tell_size);
	int r = restore_each_living(re, begin_memory);
	if (r >= 0)
		r = restore_each_living(re, end_memory);
	if (r >= 0)
		r = restore_each_living(re, make_aio_contexts);
	if (r >= 0)
		r = ipc_fill(&re->stubs, &re->tree);
	if (r >= 0)
		r = file_restore_tables(re->files, &re->stubs);
	/* helpers for dead /proc entries had to live until the files were open */
	if (r >= 0)
		r = restore_deaths(re);
	if (r >= 0)
		r = restore_each_living(re, restore_begin_threads);
	if (r >= 0)
		r = restore_each_living(re, restore_end_threads);
	/* owners of files may be threads and groups; after this the stubs have no socket */
	if (r >= 0)
		r = file_restore_late(re->files, &re->stubs);
	if (r >= 0)
		r = restore_each_living(re, begin_aspects);
	if (r >= 0)
		r = restore_each_living(re, end_aspects);
	return r < 0 ? r : file_restore_finish(re->files);
}
