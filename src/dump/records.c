/*
 * What one read tells about all tasks that are stopped (kernel/task_records.h): where there are
 * many it takes the place of several files and calls for each.
 */
#include "dump/dump_tree.h"

#include "base/cleanup.h"

enum {
	WORTH_TASKS = 32,   /* each of them saves a tenth of a millisecond, */
	WORTH_THREADS = 48, /* or half of that: status, kcmp and names of namespaces */
	NOT_TRIED = 0,
};

bool dump_open_records(struct dump *d, size_t n_tasks, size_t n_threads)
{
	if (n_tasks < WORTH_TASKS && n_threads < WORTH_THREADS)
		return false;
	if (d->records_program == NOT_TRIED)
		d->records_program = task_records_open();
	return d->records_program >= 0;
}

bool dump_read_records(struct dump *d)
{
	int r = task_records_read(&d->s->arena, d->records_program, &d->records);
	if (r < 0)
		d->records.n = 0;
	return r >= 0;
}

void dump_forget_records(struct dump *d)
{
	if (d->records_program != NOT_TRIED)
		cleanup_close(&d->records_program);
	d->records_program = NOT_TRIED;
	d->records.n = 0;
}
