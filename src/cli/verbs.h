/* What the tool can be told to do: one table for the command line, the help and the manual. */
#ifndef FERMATA_CLI_VERBS_H
#define FERMATA_CLI_VERBS_H

#include <stdbool.h>

#include "cli/options.h"

struct parser;
struct session;

struct verb {
	const char *name;
	const char *sub; /* required second word, or NULL */
	enum action action;
	bool needs_images; /* open the images directory first */
	/* 0 or negative errno with the failure recorded; NULL = not there yet. */
	int (*run)(struct session *s);
	const char *finished; /* last log line of a success, NULL = the verb says it itself */
	const char *failed;   /* last log line of a failure, or NULL */
	const char *synopsis, *help;
};

extern const struct verb verb_table[];
extern const size_t n_verbs;

/* Reads the action out of opt->words and leaves the rest there. 0 or -EINVAL with p->error set. */
int find_verb(struct parser *p, const struct verb **ret_verb);

/* The words of actions that existed once; their use ends with status 255. NULL = not such a word.
 */
const char *removed_verb(const struct options *o);

#endif
