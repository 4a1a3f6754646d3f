/* The rest of a long file of /proc, read by another thread while its beginning is parsed. */
#ifndef FERMATA_KERNEL_READ_AHEAD_H
#define FERMATA_KERNEL_READ_AHEAD_H

#include <pthread.h>
#include <stdbool.h>

struct read_ahead {
	int source; /* the file, of the thread's */
	int from;   /* where the text is to be read */
	int to;	    /* the thread's end of that */
	int err;
	pthread_t thread;
};

/*
 * False: nothing was begun, read the file yourself. Otherwise read all from r->from, and then call
 * read_ahead_end(), also after a failure; it returns 0 or why the text ended early.
 */
bool read_ahead_begin(struct read_ahead *r, int source);
int read_ahead_end(struct read_ahead *r);

#endif
