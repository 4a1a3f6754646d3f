/* Usage, help and the generated part of the manual, all read from the tables. */
#include "cli/help.h"

#include <string.h>

#include "cli/check.h"
#include "cli/option_table.h"
#include "cli/verbs.h"
#include "cli/version.h"

enum { HELP_COLUMN = 34 };

void print_usage(FILE *out, const char *program)
{
	fprintf(out, "Usage:\n");
	for (size_t i = 0; i < n_verbs; i++)
		fprintf(out, "  %s %s [OPTIONS]\n", program, verb_table[i].synopsis);
	fprintf(out, "\n");
}

/* "-t, --tree PID" */
static void format_option(const struct option_def *def, char *out, size_t room)
{
	char letter[8] = "    ";
	if (def->letter)
		snprintf(letter, sizeof(letter), "-%c, ", def->letter);
	const char *no = def->flags & OPT_NEGATABLE ? "[no-]" : "";
	if (!option_takes_arg(def))
		snprintf(out, room, "%s--%s%s", letter, no, def->name);
	else if (def->flags & OPT_OPTIONAL_ARG)
		snprintf(out, room, "%s--%s[=%s]", letter, def->name, def->arg);
	else
		snprintf(out, room, "%s--%s %s", letter, def->name, def->arg);
}

/* By all commands that take it and are there. */
static bool is_built(const struct option_def *def)
{
	unsigned built = 0;
	for (size_t i = 0; i < n_verbs; i++)
		if (verb_table[i].run)
			built |= 1u << verb_table[i].action;
	return def->actions & built && !def->unbuilt;
}

void print_help(FILE *out, const char *program)
{
	print_usage(out, program);
	fprintf(out, "Commands:\n");
	for (size_t i = 0; i < n_verbs; i++)
		fprintf(out, "  %-*s%s%s\n", HELP_COLUMN - 2, verb_table[i].synopsis,
			verb_table[i].help, verb_table[i].run ? "" : " (not there yet)");
	for (int section = 0; section < N_SECTIONS; section++) {
		fprintf(out, "\n%s:\n", section_titles[section]);
		for (size_t i = 0; i < n_options; i++) {
			const struct option_def *def = &option_table[i];
			char head[128];
			if ((int)def->section != section || (def->flags & OPT_DEPRECATED))
				continue;
			const char *yet = is_built(def) ? "" : " (not there yet)";
			format_option(def, head, sizeof(head));
			if (strlen(head) > HELP_COLUMN - 4)
				fprintf(out, "  %s\n%*s%s%s\n", head, HELP_COLUMN, "", def->help,
					yet);
			else
				fprintf(out, "  %-*s%s%s\n", HELP_COLUMN - 2, head, def->help, yet);
		}
	}
}

/* scdoc gives meaning to these; names and texts are literal. */
static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("*_\\[]<>#.|~", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void print_manual_option(FILE *out, const struct option_def *def)
{
	if (def->letter)
		fprintf(out, "*-%c*, ", def->letter);
	fprintf(out, "*--%s*", def->name);
	if (option_takes_arg(def)) {
		bool optional = def->flags & OPT_OPTIONAL_ARG;
		fprintf(out, optional ? "\\[=" : " ");
		print_escaped(out, def->arg);
		fprintf(out, optional ? "\\]" : "");
	}
	if (def->flags & OPT_NEGATABLE)
		fprintf(out, ", *--no-%s*", def->name);
	fprintf(out, "\n\t");
	print_escaped(out, def->help);
	fprintf(out, ".");
	if (def->flags & OPT_DEPRECATED)
		fprintf(out, " Deprecated.");
	if (def->flags & OPT_OURS)
		fprintf(out, " Not in CRIU.");
	if (def->unbuilt)
		fprintf(out, " Accepted in the syntax; refused until its engine is built.");
	fprintf(out, "\n\n");
}

void print_manual(FILE *out)
{
	fprintf(out, "# COMMANDS\n\n");
	for (size_t i = 0; i < n_verbs; i++) {
		const struct verb *verb = &verb_table[i];
		fprintf(out, "*%s%s%s*\n\t%s.%s\n\n", verb->name, verb->sub ? " " : "",
			verb->sub ? verb->sub : "", verb->help, verb->run ? "" : " Not there yet.");
	}
	fprintf(out, "# OPTIONS\n\n");
	for (int section = 0; section < N_SECTIONS; section++) {
		fprintf(out, "## %s\n\n", section_titles[section]);
		for (size_t i = 0; i < n_options; i++)
			if ((int)option_table[i].section == section)
				print_manual_option(out, &option_table[i]);
	}
	fprintf(out, "# FEATURES\n\nNames for *--feature*.\n\n");
	for (size_t i = 0; i < n_features; i++)
		fprintf(out, "*%s*\n\t%s.\n\n", feature_table[i].name, feature_table[i].what);
}

void print_version(FILE *out, const char *program)
{
	fprintf(out, "Version: " FERMATA_INTERFACE_VERSION "\n");
	if (FERMATA_GIT_ID[0])
		fprintf(out, "GitID: " FERMATA_GIT_ID "\n");
	if (strcmp(program, "criu"))
		fprintf(out, "Fermata: " FERMATA_VERSION "\n");
}
