/*
 * The preflight: a dump that stops short of running anything in the tasks and of writing anything.
 *
 * It stops the tree as a dump would, looks at everything that can be seen from outside, lets it go
 * and says what a dump would say: every blocker, the size, the command line.
 */
#include "dump/preflight.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "dump/dump_tree.h"
#include "mem/pages_dump.h"

static uint64_t predict_bytes(const struct dump *d)
{
	const uint64_t images_per_task = 8192; /* core, mm, ids, fs, fdinfo, pagemap */
	uint64_t total = file_dump_predicted(d->files);
	vec_for_each(&d->tree.tasks, t)
		if (task_lives(*t))
			total += images_per_task + pages_predict(d->vmas[(*t)->index]);
	return total;
}

static size_t count_threads(const struct tree *tree)
{
	size_t n = 0;
	vec_for_each(&tree->tasks, t)
		n += (*t)->threads.n;
	return n;
}

/* The option of a remedy like "use --ghost-limit 4096", or NULL. */
static const char *lifting_option(const struct blocker *b)
{
	static const char prefix[] = "use --";
	if (!b->remedy || strncmp(b->remedy, prefix, sizeof(prefix) - 1) != 0)
		return NULL;
	const char *option = b->remedy + sizeof("use ") - 1;
	const char *value = strchr(option, ' ');
	return value && strchr(value + 1, ' ') ? NULL : option; /* more words are a condition */
}

static bool options_lift_all(const struct session *s)
{
	vec_for_each(&s->blockers, b)
		if (!lifting_option(b))
			return false;
	return true;
}

static bool named_before(const struct session *s, const struct blocker *b, const char *option)
{
	for (const struct blocker *it = s->blockers.v; it < b; it++)
		if (strcmp(lifting_option(it), option) == 0)
			return true;
	return false;
}

/* Only when there is one that would work. */
static void print_command(const struct session *s)
{
	const struct options *o = s->opt;
	if (!options_lift_all(s))
		return;
	printf("Command: fermata dump -t %d -D %s", o->tree, o->images_dir);
	if (o->shell_job)
		printf(" --shell-job");
	if (o->link_remap)
		printf(" --link-remap");
	if (option_given(o, "ghost-limit"))
		printf(" --ghost-limit %llu", (unsigned long long)o->ghost_limit);
	if (o->file_locks)
		printf(" --file-locks");
	vec_for_each(&o->external, key)
		printf(" --external '%s'", *key);
	if (o->leave_running)
		printf(" --leave-running");
	else if (o->leave_stopped)
		printf(" --leave-stopped");
	vec_for_each(&s->blockers, b)
		if (!named_before(s, b, lifting_option(b)))
			printf(" %s", lifting_option(b));
	printf("\n");
}

int preflight_run(struct session *s)
{
	struct dump d = {.s = s, .dry = true};
	int r = dump_collect(&d);
	dump_release(&d, RELEASE_AS_IT_WAS);
	if (r < 0)
		return r;
	printf("Tree: %zu tasks, %zu threads, stopped for %llu us\n", d.tree.tasks.n,
		count_threads(&d.tree), (unsigned long long)(now_us() - d.stopped_us));
	printf("Predicted image size: %llu bytes\n", (unsigned long long)predict_bytes(&d));
	print_command(s);
	if (!s->blockers.n)
		return 0;
	return fail(s, EOPNOTSUPP, "%zu obstacle%s to a dump of pid %d", s->blockers.n,
		s->blockers.n == 1 ? "" : "s", s->opt->tree);
}
