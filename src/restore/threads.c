/*
 * Threads: cloned by their leader, batch by batch, and made what they were meanwhile.
 *
 * While the leader clones one batch, the programs of its threads are built and put into their
 * channels, and the batch before sets its aspects and gets its registers.  So a thread has two
 * stops before it is complete: that of its birth, and that after its program.
 *
 * A signal that the leader sets to be ignored would be flushed from the queues of threads: those
 * that have some play their program when the leader has played its own.  So do those that have to
 * make some file first (thread.makes_files), in file_restore_late().
 */
#include "restore/restore_tree.h"

enum { BATCH = 32 };

static bool waits_for_leader(const struct thread *th)
{
	const SignalQueueEntry *queue = th->core->thread_core->signals_p;
	return th->makes_files || (queue && queue->n_signals);
}

static size_t batch_end(const struct task *t, size_t from)
{
	return from + BATCH < t->threads.n ? from + BATCH : t->threads.n;
}

/* Lets the leader clone the batch at `from`. */
static int start_clones(struct restore *re, struct task *t, size_t from)
{
	struct program *p = restore_fresh_program(re, leader(t));
	int r = 0;
	for (size_t i = from; i < batch_end(t, from) && r >= 0; i++) {
		t->threads.v[i]->tid = t->threads.v[i]->vtid;
		r = stub_plan_thread(&re->stubs, t->threads.v[i], p);
	}
	return r < 0 ? r : stub_start(&re->stubs, leader(t), p);
}

static int load_programs(struct restore *re, struct task *t, size_t from)
{
	int r = 0;
	for (size_t i = from; i < batch_end(t, from) && r >= 0; i++) {
		struct thread *th = t->threads.v[i];
		r = aspects_plan(re->s, th, restore_fresh_program(re, th));
		if (r >= 0 && !waits_for_leader(th))
			r = stub_load(&re->stubs, th, &th->program);
	}
	return r;
}

static int start_programs(struct restore *re, struct task *t, size_t from)
{
	int r = 0;
	for (size_t i = from; i < batch_end(t, from) && r >= 0; i++) {
		struct thread *th = t->threads.v[i];
		r = stub_adopt(&re->stubs, th);
		if (r >= 0 && !waits_for_leader(th))
			r = stub_go(&re->stubs, th, &th->program);
	}
	return r;
}

static int complete(struct restore *re, struct thread *th)
{
	int r = stub_wait(&re->stubs, th, &th->program);
	if (r >= 0)
		r = aspects_finish(re->s, th);
	return r < 0 ? r : stub_set_registers(&re->stubs, th);
}

static int complete_batch(struct restore *re, struct task *t, size_t from)
{
	int r = 0;
	for (size_t i = from; i < batch_end(t, from) && r >= 0; i++)
		if (!waits_for_leader(t->threads.v[i]))
			r = complete(re, t->threads.v[i]);
	return r;
}

int restore_begin_threads(struct restore *re, struct task *t)
{
	return t->threads.n == 1 ? 0 : start_clones(re, t, 1);
}

int restore_end_threads(struct restore *re, struct task *t)
{
	int r = 0;
	size_t before = 0;
	for (size_t from = 1; from < t->threads.n && r >= 0; before = from, from += BATCH) {
		r = load_programs(re, t, from);
		if (r >= 0)
			r = stub_wait(&re->stubs, leader(t), &leader(t)->program);
		if (r >= 0 && from + BATCH < t->threads.n)
			r = start_clones(re, t, from + BATCH);
		if (r >= 0)
			r = start_programs(re, t, from);
		if (r >= 0 && before)
			r = complete_batch(re, t, before);
	}
	return r < 0 || !before ? r : complete_batch(re, t, before);
}

int restore_late_threads(struct restore *re, struct task *t)
{
	int r = 0;
	for (size_t i = 1; i < t->threads.n && r >= 0; i++)
		if (waits_for_leader(t->threads.v[i]))
			r = stub_start(&re->stubs, t->threads.v[i], &t->threads.v[i]->program);
	for (size_t i = 1; i < t->threads.n && r >= 0; i++)
		if (waits_for_leader(t->threads.v[i]))
			r = complete(re, t->threads.v[i]);
	return r;
}
