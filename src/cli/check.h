/* The check verb: what this kernel offers, by trying it. */
#ifndef FERMATA_CLI_CHECK_H
#define FERMATA_CLI_CHECK_H

#include <stdbool.h>
#include <stddef.h>

struct session;

/* 0 when all that was asked for is there; negative errno, failure recorded, otherwise. */
int check_run(struct session *s);
/* Only what is always needed, and nothing printed. */
int check_mandatory(struct session *s);
/* Whether the feature of that name works here; false for unknown names. */
bool check_has(const char *name);

enum feature_level {
	FEATURE_MANDATORY,
	FEATURE_EXTRA,	      /* --extra: some trees need it */
	FEATURE_EXPERIMENTAL, /* --experimental */
	FEATURE_NAMED,	      /* only --feature NAME */
};

/* How a probe is told from its answer: 0 there, negative errno not there (or not permitted). */
struct feature {
	const char *name;
	enum feature_level level;
	int (*probe)(void);
	const char *what; /* for people */
};

extern const struct feature feature_table[];
extern const size_t n_features;

#endif
