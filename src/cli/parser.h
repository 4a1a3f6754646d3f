/*
 * From words to struct options, the GNU way: options anywhere, clustered letters, unambiguous
 * abbreviations, "--" ends options.  Nothing is printed here and nothing is global.
 */
#ifndef FERMATA_CLI_PARSER_H
#define FERMATA_CLI_PARSER_H

#include "base/arena.h"
#include "cli/options.h"

struct option_def;

struct parser {
	struct arena *arena; /* copies and messages */
	struct options *opt;
	const char *error; /* what was wrong, NULL = nothing */
	bool usage;	   /* the error deserves the usage text */
	bool from_config;  /* words are not collected */
	const struct option_def *once; /* the one with OPT_ONCE: given on the command line */
};

/* Records the error once. Returns -EINVAL. */
int parse_error(struct parser *p, bool usage, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Applies argv[0..argc) (no program name) to p->opt; later values win, lists grow.  Words that
 * are no options are appended to opt->words.  Returns 0 or -EINVAL with p->error set.
 */
int parse_args(struct parser *p, int argc, const char *const *argv);

/*
 * The whole start: default configuration files, --config, then the command line (argv without
 * the program name).  Returns 0 or -EINVAL.
 */
int parse_command_line(struct parser *p, int argc, const char *const *argv);

/* Applies one configuration file; a missing one is no error. Returns 0 or -EINVAL. */
int parse_config_file(struct parser *p, const char *path);

/* The same of its text, which is cut into pieces and must live as long as the options. */
int parse_config_text(struct parser *p, char *text, const char *path);

/* Decimal in min..max, nothing else. Returns 0 or -EINVAL without recording. */
int parse_number(const char *text, int64_t min, int64_t max, int64_t *ret_value);

/* Options that contradict each other, the action, or what is built. 0 or -EINVAL. */
int check_options(struct parser *p);

#endif
