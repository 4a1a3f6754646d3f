/* The read-only look at a tree before a dump: `dump --explain`, `check -t PID`. */
#ifndef FERMATA_DUMP_PREFLIGHT_H
#define FERMATA_DUMP_PREFLIGHT_H

struct session;

/*
 * Looks at the tree of s->opt->tree, prints the predicted image size and the exact command line
 * to use on stdout, and leaves the tree as it was.  Everything that stands in the way is in
 * s->blockers, which the caller prints.  Returns 0 only if a dump would succeed.
 */
int preflight_run(struct session *s);

#endif
