/*
 * The preflight: a dump that stops short of writing anything.
 *
 * It stops the tree as a dump would, asks all that a dump asks, also inside of the tasks, lets it
 * go and says what a dump would say: every blocker, the size, the command line.
 */
#include "dump/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/options.h"
#include "dump/dump_command.h"
#include "dump/dump_tree.h"
#include "image/dir.h"
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

/*
 * Whether the directory takes the images, beside those that it has already (image/replaced.c).  A
 * check has none, unless one is named.
 */
static void check_directory(struct session *s, uint64_t bytes)
{
	struct statvfs fs;
	if (!s->images)
		return;
	int dir = s->images->fd;
	if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		block(s, s->opt->tree, "name another directory by -D",
			"the images cannot be written to %s (%s)", s->images->path,
			strerror(errno));
		return;
	}
	if (fstatvfs(dir, &fs) < 0 || !fs.f_blocks) /* which tells of no limit */
		return;
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room < bytes)
		block(s, s->opt->tree, "make room, or name another directory by -D",
			"the images, about %ju bytes, do not fit into the %ju that are free in %s",
			(uintmax_t)bytes, (uintmax_t)room, s->images->path);
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
	uint64_t bytes = predict_bytes(&d);
	check_directory(s, bytes);
	s->preflight = (struct preflight){.n_tasks = d.tree.tasks.n,
		.n_threads = count_threads(&d.tree),
		.predicted_bytes = bytes,
		.command = dump_command(s)};
	if (!s->opt->json)
		print_findings(s);
	if (!s->blockers.n)
		return 0;
	return fail(s, EOPNOTSUPP, "%zu obstacle%s to a dump of pid %d", s->blockers.n,
		s->blockers.n == 1 ? "" : "s", s->opt->tree);
}
