/* Completion for bash, made from the option and verb tables. */
#include <string.h>

#include "cli/help.h"
#include "cli/option_table.h"
#include "cli/verbs.h"

/* What may follow an option, by the name of its argument. */
static const struct {
	const char *arg, *how;
} arguments[] = {
	{"DIR", "compgen -d"},
	{"FILE", "compgen -f"},
	{"PATH", "compgen -f"},
	{"PID", "_fermata_pids"},
};

static void print_verbs(FILE *out)
{
	fprintf(out, "\tlocal verbs='");
	for (size_t i = 0; i < n_verbs; i++)
		if (i == 0 || strcmp(verb_table[i].name, verb_table[i - 1].name) != 0)
			fprintf(out, "%s%s", i ? " " : "", verb_table[i].name);
	fprintf(out, "'\n");
}

static void print_options(FILE *out)
{
	fprintf(out, "\tlocal options='");
	for (size_t i = 0; i < n_options; i++) {
		const struct option_def *def = &option_table[i];
		if (def->flags & OPT_DEPRECATED)
			continue;
		fprintf(out, " --%s%s", def->name,
			def->choices && def->flags & OPT_OPTIONAL_ARG ? "=" : "");
		if (def->flags & OPT_NEGATABLE)
			fprintf(out, " --no-%s", def->name);
	}
	fprintf(out, "'\n");
}

static void print_case(FILE *out, const struct option_def *def, const char *how)
{
	fprintf(out, "\t--%s", def->name);
	if (def->letter)
		fprintf(out, "|-%c", def->letter);
	fprintf(out, ") COMPREPLY=($(%s -- \"$word\")) ;;\n", how);
}

static void print_choices(FILE *out, const struct option_def *def)
{
	fprintf(out, "\t--%s) COMPREPLY=($(compgen -W '", def->name);
	for (int i = 0; def->choices[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", def->choices[i]);
	fprintf(out, "' -- \"$word\")) ;;\n");
}

static void print_arguments(FILE *out)
{
	for (size_t i = 0; i < n_options; i++) {
		const struct option_def *def = &option_table[i];
		if (!option_takes_arg(def))
			continue;
		if (def->choices) {
			print_choices(out, def);
			continue;
		}
		for (size_t j = 0; j < sizeof(arguments) / sizeof(*arguments); j++)
			if (!strcmp(def->arg, arguments[j].arg))
				print_case(out, def, arguments[j].how);
	}
}

void print_completion(FILE *out)
{
	fprintf(out, "# bash completion of fermata and criu, made from the tables of the program\n"
		     "_fermata_pids() {\n"
		     "\tcompgen -W \"$(cd /proc && echo [1-9]*)\" \"$@\"\n"
		     "}\n"
		     "_fermata() {\n"
		     "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n");
	print_verbs(out);
	print_options(out);
	/* --name=value comes as three words. */
	fprintf(out, "\tif [[ $word == = ]]; then word=; elif [[ $before == = ]]; then\n"
		     "\t\tbefore=${COMP_WORDS[COMP_CWORD-2]}\n"
		     "\tfi\n"
		     "\tCOMPREPLY=()\n"
		     "\tcase $before in\n");
	print_arguments(out);
	fprintf(out, "\t*) case $word in\n"
		     "\t\t-*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
		     "\t\t*) COMPREPLY=($(compgen -W \"$verbs\" -- \"$word\")) ;;\n"
		     "\t\tesac ;;\n"
		     "\tesac\n"
		     "\t[[ ${COMPREPLY[*]} == *= ]] && compopt -o nospace 2>/dev/null\n"
		     "\treturn 0\n"
		     "}\n"
		     "complete -F _fermata fermata criu\n");
}
