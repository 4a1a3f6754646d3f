/*
 * The command line that would dump a tree: what was said on ours, then what lifts the blockers.
 *
 * Options of configuration files are not repeated: the dump reads these files, too.  Options that
 * do not concern a dump, or that make it none, are left out.  Blockers name the option that lifts
 * them at the start of their remedy; a remedy with more words tells a condition, or a loss, which
 * is for a person to accept.
 */
#include "dump/dump_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/session.h"
#include "cli/option_table.h"

/* The option that lifts a blocker. */
struct lift {
	const struct option_def *def;
	const char *value; /* NULL: it takes none */
};

/* Of "use --ghost-limit 4096" that, of "use --A or --B" the first. False: no option alone does. */
static bool lift_of(struct session *s, const struct blocker *b, struct lift *ret)
{
	static const char prefix[] = "use --";
	if (!b->remedy || strncmp(b->remedy, prefix, sizeof(prefix) - 1) != 0)
		return false;
	char *name = arena_strdup(&s->arena, b->remedy + sizeof(prefix) - 1);
	char *other = strstr(name, " or --");
	if (other)
		*other = '\0';
	char *value = strchr(name, ' ');
	if (value)
		*value++ = '\0';
	*ret = (struct lift){option_find(name), value};
	return ret->def && option_takes_arg(ret->def) == (value != NULL) &&
	       !(value && strchr(value, ' '));
}

/*
 * Whether an option that lifts another blocker makes this one needless: the same, or the larger
 * of two limits.
 */
static bool is_covered(struct session *s, const struct blocker *b, const struct lift *lift)
{
	vec_for_each (&s->blockers, other) {
		struct lift l;
		if (other == b || !lift_of(s, other, &l) || l.def != lift->def)
			continue;
		bool same = !l.value || strcmp(l.value, lift->value) == 0;
		if (same ? other < b
			 : l.def->kind == OPT_SIZE && strtoull(l.value, NULL, 10) >
							      strtoull(lift->value, NULL, 10))
			return true;
	}
	return false;
}

/* A word for the shell. */
static void print_word(FILE *out, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "%+,-./:=@_";
	if (*text && !text[strspn(text, plain)]) {
		fputs(text, out);
		return;
	}
	fputc('\'', out);
	for (const char *c = text; *c; c++)
		if (*c == '\'')
			fputs("'\\''", out);
		else
			fputc(*c, out);
	fputc('\'', out);
}

static void print_option(FILE *out, const struct option_def *def, const char *arg, bool negated)
{
	fprintf(out, " --%s%s", negated ? "no-" : "", def->name);
	if (!arg)
		return;
	fputc(def->flags & OPT_OPTIONAL_ARG ? '=' : ' ', out);
	print_word(out, arg);
}

/* These say where and what, concern what is said, not what is done, or make it no dump. */
static bool is_left_out(const struct option_def *def)
{
	static const char *const names[] = {
		"tree", "images-dir", "explain", "json", "log-file", "verbosity", "close"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], def->name) == 0)
			return true;
	return !(def->actions & FOR(DUMP));
}

static void print_command(struct session *s, FILE *out)
{
	const struct options *o = s->opt;
	struct lift l;
	fprintf(out, "fermata dump -t %d -D ", o->tree);
	print_word(out, o->images_dir);
	vec_for_each (&o->said, said)
		if (!is_left_out(said->def))
			print_option(out, said->def, said->arg, said->negated);
	vec_for_each (&s->blockers, b)
		if (lift_of(s, b, &l) && !is_covered(s, b, &l))
			print_option(out, l.def, l.value, false);
}

const char *dump_command(struct session *s)
{
	struct lift l;
	vec_for_each (&s->blockers, b)
		if (!lift_of(s, b, &l))
			return NULL;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	print_command(s, out);
	const char *copy = fclose(out) == 0 ? arena_strdup(&s->arena, text) : NULL;
	free(text);
	return copy;
}
