/*
 * How far a long dump or restore is, for whoever watches: one line on the terminal, drawn over and
 * over, gone at the end.  Short runs show nothing.
 *
 * All of these do nothing in a session without s->progress.  Any thread may call them.
 */
#ifndef FERMATA_BASE_PROGRESS_H
#define FERMATA_BASE_PROGRESS_H

#include "base/session.h"

/*
 * The line is for standard error if that is a terminal that can erase; it begins with `what`. The
 * time from which a run is long counts from here.
 */
void progress_open(struct session *s, const char *what);
/* Erases the line for good. */
void progress_close(struct session *s);

/* So many bytes of memory more are to be copied. */
void progress_expect(struct session *s, uint64_t bytes);
/* They have been; now and then the line is drawn again. */
void progress_add(struct session *s, uint64_t bytes);
/* How many have been; and that at least so many have been. */
uint64_t progress_mark(const struct session *s);
void progress_reach(struct session *s, uint64_t bytes);

/* Makes room for another line on the terminal, until it is drawn again. */
void progress_hide(struct session *s);

/* Does the user want colour there? A terminal, TERM other than dumb, no NO_COLOR. */
bool terminal_has_colour(int fd);

#endif
