/*
 * Work by two threads.
 *
 * The second one, the helper, is started when there is enough to do for the first time, and lives
 * as long as the session: what it traces stays traced (ptrace(2) ties a task to one thread of its
 * tracer).  It works in a session of its own; what it allocates lasts as long as the caller's, and
 * what it records as failure, blockers or figures ends up there.
 */
#ifndef FERMATA_BASE_SHARE_H
#define FERMATA_BASE_SHARE_H

#include "base/session.h"

/* One of many independent pieces, 0 or a negative errno. s is the caller's session or the helper's.
 */
typedef int share_work(struct session *s, void *arg, size_t i);

/*
 * Calls work(s, arg, i) once for each i < n, in no certain order. Few pieces are done here alone,
 * and so are all while the helper is busy.  After a failure no new pieces are begun, and its errno
 * is returned.
 */
int share_out(struct session *s, size_t n, share_work *work, void *arg);

/* For pieces each of which is worth a thread: they are handed out one by one, however few. */
int share_out_large(struct session *s, size_t n, share_work *work, void *arg);

/*
 * Lanes: work that is bound to a thread. Lane 0 is the thread that has the session, lane 1 the
 * helper.
 */
enum { LANES_MAX = 2 };

typedef int lane_work(struct session *s, void *arg, unsigned lane);

/* How many lanes there are from now on. Starts the helper if worth_it. */
unsigned lanes_open(struct session *s, bool worth_it);

/*
 * Calls work(s, arg, lane) in every lane at the same time, each with a session of its own, and
 * returns when all are done: a failure of any of them, the first lane's if there are two.
 */
int lanes_run(struct session *s, lane_work *work, void *arg);

/* The same in one lane; the caller waits. */
int lane_run(struct session *s, unsigned lane, lane_work *work, void *arg);

/* Ends the helper and takes over its memory. For session_release(). */
void share_end(struct session *s);

#endif
