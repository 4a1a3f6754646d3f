/*
 * Many independent pieces of work by two threads.
 *
 * Only a tracer may ask its tracees, so the controller does almost everything in one thread.  What
 * needs no ptrace and comes by the thousand (files under /proc, images) is shared with a helper
 * that lives for the time of one call.
 */
#ifndef FERMATA_BASE_SHARE_H
#define FERMATA_BASE_SHARE_H

#include "base/session.h"

/*
 * One piece, 0 or a negative errno.  s is the caller's session or a copy of it with an arena of its
 * own: what work allocates, logs and records as failure or blocker ends up in the caller's.
 */
typedef int share_work(struct session *s, void *arg, size_t i);

/*
 * Calls work(s, arg, i) once for each i < n, in no certain order. Few pieces are done here alone.
 * After a failure no new pieces are begun, and its errno is returned.
 */
int share_out(struct session *s, size_t n, share_work *work, void *arg);

/* For pieces each of which is worth a thread: they are handed out one by one, however few. */
int share_out_large(struct session *s, size_t n, share_work *work, void *arg);

#endif
