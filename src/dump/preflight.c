/*
 * The preflight: a dump that stops short of writing anything.
 *
 * It stops the tree as a dump would, asks all that a dump asks, also inside of the tasks, lets it
 * go and says what a dump would say: every blocker, the size, the command line.
 */
#include "dump/preflight.h"

#include <errno.h>
#include <stdio.h>

#include "cli/options.h"
#include "dump/dump_command.h"
#include "dump/dump_tree.h"
#include "mem/pages_dump.h"

static uint64_t predict_bytes(const struct dump *d)
{
	const uint64_t images_per_task = 8192; /* core, mm, ids, fs, fdinfo, pagemap */
	uint64_t total = file_dump_predicted(d->files);
	vec_for_each (&d->tree.tasks, t)
		if (task_lives(*t))
			total += images_per_task + pages_predict(d->vmas[(*t)->index]);
	return total;
}

static size_t count_threads(const struct tree *tree)
{
	size_t n = 0;
	vec_for_each (&tree->tasks, t)
		n += (*t)->threads.n;
	return n;
}

static void print_findings(const struct session *s)
{
	const struct preflight *p = &s->preflight;
	printf("Tree: %zu tasks, %zu threads, stopped for %u us\n", p->n_tasks, p->n_threads,
		s->stats.frozen_us);
	printf("Predicted image size: %ju bytes\n", (uintmax_t)p->predicted_bytes);
	if (p->command)
		printf("Command: %s\n", p->command);
}

int preflight_run(struct session *s)
{
	struct dump d = {.s = s, .dry = true};
	int r = dump_collect(&d);
	dump_release(&d, RELEASE_AS_IT_WAS);
	if (r < 0)
		return r;
	s->stats.frozen_us = (uint32_t)(now_us() - d.stopped_us);
	s->preflight = (struct preflight){.n_tasks = d.tree.tasks.n,
		.n_threads = count_threads(&d.tree),
		.predicted_bytes = predict_bytes(&d),
		.command = dump_command(s)};
	if (!s->opt->json)
		print_findings(s);
	if (!s->blockers.n)
		return 0;
	return fail(s, EOPNOTSUPP, "%zu obstacle%s to a dump of pid %d", s->blockers.n,
		s->blockers.n == 1 ? "" : "s", s->opt->tree);
}
