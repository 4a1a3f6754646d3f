/*
 * Names that others must not see for long: a SIGKILL for us leaves none of them.
 *
 * What gives names and takes them again is done in a child that goes on if we are killed.  What
 * has to keep its name for longer is taken by a guard when we die before brief_names_end().
 */
#ifndef FERMATA_FILE_BRIEF_NAMES_H
#define FERMATA_FILE_BRIEF_NAMES_H

#include "base/session.h"

struct brief_names;

/* take(owner) is what the guard does; it runs in a process of its own, with our memory. */
int brief_names_begin(
	struct session *s, void (*take)(void *owner), void *owner, struct brief_names **ret);
/* The result of call(owner, arg), or -errno with a failure if there can be no child. */
int brief_names_do(struct brief_names *n, int (*call)(void *owner, void *arg), void *arg);
/* *n may be NULL, and is afterwards. */
void brief_names_end(struct brief_names **n);

#endif
