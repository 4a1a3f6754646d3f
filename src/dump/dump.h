/* The dump pipeline. */
#ifndef FERMATA_DUMP_DUMP_H
#define FERMATA_DUMP_DUMP_H

struct session;

/*
 * Writes the tree of s->opt->tree to s->images and kills it, stops it or lets it go on, as the
 * options say.  Returns 0, or a negative errno with the failure or blockers recorded and the
 * tree running as before.  Prints nothing but log lines; the caller prints the final one.
 */
int dump_run(struct session *s);

#endif
