/* The command line of the dump that a preflight has tried. */
#ifndef FERMATA_DUMP_DUMP_COMMAND_H
#define FERMATA_DUMP_DUMP_COMMAND_H

struct session;

/*
 * What a shell must be told to dump s->opt->tree: the options that were given, and those that lift
 * s->blockers.  In the arena; NULL if options cannot lift all of them.
 */
const char *dump_command(struct session *s);

#endif
