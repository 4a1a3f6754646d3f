/*
 * The preflight: a dump that stops short of writing anything.
 *
 * It stops the tree as a dump would, asks all that a dump asks, also inside of the tasks, lets it go
 * and says what a dump would say: every blocker, the size, the command line.
 */
#include "dump/preflight.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/option_table.h"
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

/* The option of a remedy like "use --ghost-limit 4096", of "use --A or --B" the first, or NULL. */
static const char *lifting_option(const struct blocker *b, int *ret_len)
{
	static const char prefix[] = "use --";
	if (!b->remedy || strncmp(b->remedy, prefix, sizeof(prefix) - 1) != 0)
		return NULL;
	const char *option = b->remedy + sizeof("use ") - 1;
	const char *other = strstr(option, " or --");
	size_t len = other ? (size_t)(other - option) : strlen(option);
	const char *value = memchr(option, ' ', len);
	*ret_len = (int)len;
	/* more words are a condition */
	return value && memchr(value + 1, ' ', len - (size_t)(value + 1 - option)) ? NULL : option;
}

static bool options_lift_all(const struct session *s)
{
	int len;
	vec_for_each (&s->blockers, b)
		if (!lifting_option(b, &len))
			return false;
	return true;
}

static bool named_before(
	const struct session *s, const struct blocker *b, const char *option, int len)
{
	for (const struct blocker *it = s->blockers.v; it < b; it++) {
		int its_len;
		const char *its = lifting_option(it, &its_len);
		if (its && its_len == len && memcmp(its, option, (size_t)len) == 0)
			return true;
	}
	return false;
}

static void print_list(FILE *out, const char *name, const struct strings *values)
{
	vec_for_each (values, v)
		fprintf(out, " --%s '%s'", name, *v);
}

/* An option that was given and concerns a dump, as it would be given again. */
static void print_option(FILE *out, const struct options *o, const struct option_def *def)
{
	const void *at = (const char *)o + def->offset;
	switch (def->kind) {
	case OPT_BOOL:
		fprintf(out, " --%s%s", *(const bool *)at ? "" : "no-", def->name);
		break;
	case OPT_NUMBER:
		fprintf(out, " --%s %d", def->name, *(const int *)at);
		break;
	case OPT_SIZE:
		fprintf(out, " --%s %ju", def->name, (uintmax_t) * (const uint64_t *)at);
		break;
	case OPT_STRING:
		fprintf(out, " --%s '%s'", def->name, *(const char *const *)at);
		break;
	case OPT_LIST:
		print_list(out, def->name, at);
		break;
	case OPT_CHOICE:
		fprintf(out, " --%s=%s", def->name, def->choices[*(const int *)at]);
		break;
	case OPT_CUSTOM: /* of these, only the lists that they fill concern a preflight */
		break;
	}
}

/* These say where and what, or that this is no dump. */
static bool said_otherwise(const struct option_def *def)
{
	static const char *const names[] = {"tree", "images-dir", "explain", "json", "log-file"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], def->name) == 0)
			return true;
	return false;
}

/* Shells take brackets for patterns. */
static void print_lift(FILE *out, const char *option, int len)
{
	const char *value = memchr(option, ' ', (size_t)len);
	int before = value ? (int)(value - option) : len;
	if (value && memchr(value, '[', (size_t)(len - before)))
		fprintf(out, " %.*s '%.*s'", before, option, len - before - 1, value + 1);
	else
		fprintf(out, " %.*s", len, option);
}

/* The dump that would work, or NULL if options cannot lift what stands in the way. */
static const char *command(struct session *s)
{
	const struct options *o = s->opt;
	char *text = NULL;
	size_t len;
	int n;
	FILE *out = options_lift_all(s) ? open_memstream(&text, &len) : NULL;
	if (!out)
		return NULL;
	fprintf(out, "fermata dump -t %d -D %s", o->tree, o->images_dir);
	for (size_t i = 0; i < n_options; i++)
		if (o->given[i] && option_table[i].actions & FOR(DUMP) &&
			!said_otherwise(&option_table[i]))
			print_option(out, o, &option_table[i]);
	vec_for_each (&s->blockers, b) {
		const char *option = lifting_option(b, &n);
		if (option && !named_before(s, b, option, n))
			print_lift(out, option, n);
	}
	const char *copy = fclose(out) == 0 ? arena_strdup(&s->arena, text) : NULL;
	free(text);
	return copy;
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
		.command = command(s)};
	if (!s->opt->json)
		print_findings(s);
	if (!s->blockers.n)
		return 0;
	return fail(s, EOPNOTSUPP, "%zu obstacle%s to a dump of pid %d", s->blockers.n,
		s->blockers.n == 1 ? "" : "s", s->opt->tree);
}
