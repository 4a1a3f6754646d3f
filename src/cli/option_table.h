/*
 * The one option table: parser, help, manual page and configuration files all read it, so an
 * option added here exists everywhere.  Behaviour: spec/cli.md section 4.
 */
#ifndef FERMATA_CLI_OPTION_TABLE_H
#define FERMATA_CLI_OPTION_TABLE_H

#include "cli/options.h"

struct parser; /* cli/parser.h */
struct option_def;

enum option_kind {
	OPT_BOOL,   /* bool */
	OPT_NUMBER, /* uint32_t, int32_t or pid_t in min..max */
	OPT_SIZE,   /* uint64_t bytes; K, M, G anywhere multiply */
	OPT_STRING, /* const char * */
	OPT_LIST,   /* struct strings, one element per use */
	OPT_CHOICE, /* int: index in choices[] */
	OPT_CUSTOM, /* set() decides */
};

enum option_flags {
	OPT_NEGATABLE = 1 << 0,	   /* --no-NAME clears it */
	OPT_OPTIONAL_ARG = 1 << 1, /* the argument must be attached */
	OPT_DEPRECATED = 1 << 2,   /* works, but only the manual mentions it */
	OPT_OURS = 1 << 3,	   /* Fermata's own, not the reference's */
	OPT_NO_ARG = 1 << 4,	   /* for OPT_CUSTOM */
	OPT_ONCE = 1 << 5,	   /* an OPT_NUMBER: two values on one command line are an error */
};

enum option_section {
	SECTION_GENERIC,
	SECTION_RESOURCES,
	SECTION_CGROUPS,
	SECTION_CHECK,
	SECTION_LOG,
	SECTION_MEMORY,
	SECTION_SERVERS,
	SECTION_CONFIG,
	N_SECTIONS,
};

#define FOR(action) (1u << ACTION_##action)
#define FOR_ALL	    (~0u)

struct option_def {
	const char *name;
	char letter; /* 0 = none */
	enum option_kind kind;
	unsigned flags; /* enum option_flags */
	enum option_section section;
	size_t offset;	  /* in struct options */
	unsigned actions; /* FOR() mask of the actions it means something to */
	unsigned unbuilt; /* FOR() mask where leaving it out silently could lose state: refused */
	int64_t min, max; /* OPT_NUMBER */
	const char *const *choices; /* OPT_CHOICE, NULL-terminated */
	/* OPT_CUSTOM: arg may be NULL when optional. Returns 0 or -EINVAL with p->error set. */
	int (*set)(struct parser *p, const struct option_def *def, const char *arg);
	const char *arg; /* what the help calls the argument */
	const char *help;
	const char
		*rpc; /* field of criu_opts that says the same; NULL: none, or request_options.c */
};

extern const struct option_def option_table[];
extern const size_t n_options;
extern const char *const section_titles[N_SECTIONS];

/* By its whole name, without dashes; NULL: there is none. */
const struct option_def *option_find(const char *name);

bool option_takes_arg(const struct option_def *def);

/* Setters with rules of their own: option_custom.c. */
int set_verbosity(struct parser *p, const struct option_def *def, const char *arg);
int set_cpu_cap(struct parser *p, const struct option_def *def, const char *arg);
int set_ext_unix_sk(struct parser *p, const struct option_def *def, const char *arg);
int set_veth_pair(struct parser *p, const struct option_def *def, const char *arg);
int set_ext_mount_map(struct parser *p, const struct option_def *def, const char *arg);
int set_inherit_fd(struct parser *p, const struct option_def *def, const char *arg);
int set_join_ns(struct parser *p, const struct option_def *def, const char *arg);
int set_empty_ns(struct parser *p, const struct option_def *def, const char *arg);
int set_network_lock(struct parser *p, const struct option_def *def, const char *arg);
int set_close(struct parser *p, const struct option_def *def, const char *arg);
int set_removed(struct parser *p, const struct option_def *def, const char *arg);

#endif
