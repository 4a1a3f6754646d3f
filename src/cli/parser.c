/*
 * Applies words to struct options by the option table.  The forms accepted are those of GNU
 * getopt_long, which scripts written for the reference rely on (also for abbreviations).
 */
#include "cli/parser.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cli/option_table.h"

int parse_error(struct parser *p, bool usage, const char *fmt, ...)
{
	if (p->error)
		return -EINVAL;
	va_list ap;
	va_start(ap, fmt);
	p->error = arena_vprintf(p->arena, fmt, ap);
	va_end(ap);
	p->usage = usage;
	return -EINVAL;
}

int parse_number(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
	int64_t value = 0;
	if (!text || !*text)
		return -EINVAL;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9' || value > max / 10)
			return -EINVAL;
		value = value * 10 + (*c - '0');
	}
	if (value < min || value > max)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

/* Bytes; an uppercase K, M or G anywhere multiplies (spec/cli.md 4.2). */
static int parse_size(const char *text, uint64_t *ret_bytes)
{
	uint64_t value = 0, unit = 1;
	bool digits = false;
	if (!text)
		return -EINVAL;
	for (const char *c = text; *c; c++) {
		if (*c >= '0' && *c <= '9' && unit == 1) {
			if (__builtin_mul_overflow(value, 10, &value) ||
				__builtin_add_overflow(value, (uint64_t)(*c - '0'), &value))
				return -EINVAL;
			digits = true;
		} else if (unit == 1 && (*c == 'K' || *c == 'M' || *c == 'G')) {
			unit = *c == 'K' ? 1 << 10 : *c == 'M' ? 1 << 20 : 1 << 30;
		} else {
			return -EINVAL;
		}
	}
	return !digits || __builtin_mul_overflow(value, unit, ret_bytes) ? -EINVAL : 0;
}

static int set_choice(struct parser *p, const struct option_def *def, const char *arg, int *target)
{
	const char *known = "";
	for (int i = 0; def->choices[i]; i++) {
		if (!strcmp(arg, def->choices[i])) {
			*target = i;
			return 0;
		}
		known = arena_printf(p->arena, "%s%s%s", known, i ? ", " : "", def->choices[i]);
	}
	return parse_error(p, false, "option --%s: '%s' is none of: %s", def->name, arg, known);
}

static int set_number(struct parser *p, const struct option_def *def, const char *arg, void *target)
{
	int64_t value;
	if (parse_number(arg, def->min, def->max, &value))
		return parse_error(p, false, "option --%s: '%s' is not a number from %lld to %lld",
			def->name, arg, (long long)def->min, (long long)def->max);
	if (def->flags & OPT_ONCE && !p->from_config) {
		if (p->once == def && *(uint32_t *)target != (uint32_t)value)
			return parse_error(p, false, "option --%s is given twice: %u and %lld",
				def->name, *(uint32_t *)target, (long long)value);
		p->once = def;
	}
	*(uint32_t *)target = (uint32_t)value; /* max never exceeds INT_MAX */
	return 0;
}

/* arg is NULL when there is none. */
static int apply(struct parser *p, const struct option_def *def, const char *arg, bool negated)
{
	void *target = (char *)p->opt + def->offset;

	p->opt->given[def - option_table] = true;
	if (!p->from_config)
		*vec_push(p->arena, &p->opt->said) = (struct said_option){def, arg, negated};
	switch (def->kind) {
	case OPT_BOOL:
		*(bool *)target = !negated;
		return 0;
	case OPT_NUMBER:
		return set_number(p, def, arg, target);
	case OPT_SIZE:
		if (parse_size(arg, target))
			return parse_error(p, false,
				"option --%s: '%s' is not a size like 4096, 64K or 1M", def->name,
				arg);
		return 0;
	case OPT_STRING:
		*(const char **)target = arg;
		return 0;
	case OPT_LIST:
		*vec_push(p->arena, (struct strings *)target) = arg;
		return 0;
	case OPT_CHOICE:
		return arg ? set_choice(p, def, arg, target) : (*(int *)target = 0);
	case OPT_CUSTOM:
		return def->set(p, def, arg);
	}
	return -EINVAL;
}

struct match {
	const struct option_def *def;
	bool negated, exact, ambiguous;
};

static void match_one(struct match *m, const struct option_def *def, bool negated, const char *full,
	const char *name, size_t len)
{
	if (m->exact || strncmp(full, name, len))
		return;
	bool exact = full[len] == '\0';
	if (!exact && m->def && (m->def != def || m->negated != negated))
		m->ambiguous = true;
	if (exact)
		m->ambiguous = false;
	m->def = def;
	m->negated = negated;
	m->exact = exact;
}

/* name[0..len) may be a prefix. */
static struct match find_long(struct parser *p, const char *name, size_t len)
{
	struct match m = {0};
	for (size_t i = 0; i < n_options; i++) {
		const struct option_def *def = &option_table[i];
		match_one(&m, def, false, def->name, name, len);
		if (def->flags & OPT_NEGATABLE)
			match_one(&m, def, true, arena_printf(p->arena, "no-%s", def->name), name,
				len);
	}
	return m;
}

static const struct option_def *find_letter(char letter)
{
	for (size_t i = 0; i < n_options; i++)
		if (option_table[i].letter == letter)
			return &option_table[i];
	return NULL;
}

/* word is "--NAME[=VALUE]"; next may become the argument. Returns words used beyond this one. */
static int parse_long(struct parser *p, const char *word, const char *next)
{
	const char *name = word + 2;
	const char *value = strchr(name, '=');
	size_t len = value ? (size_t)(value - name) : strlen(name);
	const struct match m = find_long(p, name, len);

	if (!m.def || !len)
		return parse_error(p, true, "unrecognized option '%s'", word);
	if (m.ambiguous)
		return parse_error(p, true, "option '%.*s' is ambiguous", (int)len + 2, word);
	if (m.negated || !option_takes_arg(m.def)) {
		if (value)
			return parse_error(p, true, "option '--%s%s' doesn't allow an argument",
				m.negated ? "no-" : "", m.def->name);
		return apply(p, m.def, NULL, m.negated);
	}
	if (value || (m.def->flags & OPT_OPTIONAL_ARG))
		return apply(p, m.def, value ? value + 1 : NULL, false);
	if (!next)
		return parse_error(p, true, "option '--%s' requires an argument", m.def->name);
	int err = apply(p, m.def, next, false);
	return err ? err : 1;
}

/* word is "-abc" with letters, the last of which may take the rest or the next word. */
static int parse_letters(struct parser *p, const char *word, const char *next)
{
	for (const char *c = word + 1; *c; c++) {
		const struct option_def *def = find_letter(*c);
		int err;
		if (!def)
			return parse_error(p, true, "invalid option -- '%c'", *c);
		if (!option_takes_arg(def)) {
			err = apply(p, def, NULL, false);
			if (err)
				return err;
			continue;
		}
		if (c[1] || (def->flags & OPT_OPTIONAL_ARG))
			return apply(p, def, c[1] ? c + 1 : NULL, false);
		if (!next)
			return parse_error(p, true, "option requires an argument -- '%c'", *c);
		err = apply(p, def, next, false);
		return err ? err : 1;
	}
	return 0;
}

int parse_args(struct parser *p, int argc, const char *const *argv)
{
	bool options_ended = false;
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		if (!options_ended && !strcmp(word, "--")) {
			options_ended = true;
			continue;
		}
		if (options_ended || word[0] != '-' || !word[1]) {
			if (!p->from_config)
				*vec_push(p->arena, &p->opt->words) = word;
			continue;
		}
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		int used =
			word[1] == '-' ? parse_long(p, word, next) : parse_letters(p, word, next);
		if (used < 0)
			return used;
		i += used;
	}
	return 0;
}

const struct option_def *option_find(const char *name)
{
	for (size_t i = 0; i < n_options; i++)
		if (!strcmp(option_table[i].name, name))
			return &option_table[i];
	return NULL;
}

bool option_given(const struct options *o, const char *name)
{
	const struct option_def *def = option_find(name);
	return def && o->given[def - option_table];
}
