/*
 * What the files of libfermata-inject share.  The engine (src/engine) does the work; this library
 * holds one session, one task and one visit of it, and hides them.
 */
#ifndef FERMATA_LIB_INJECT_INTERNAL_H
#define FERMATA_LIB_INJECT_INTERNAL_H

#include "engine/inject.h"
#include "fermata/inject.h"

enum {
	INJECT_DEFAULT_ROOM = 1024 * 1024,
	INJECT_STACK = 64 * 1024, /* of functions */
};

struct fermata_inject {
	struct session s; /* never logs */
	struct tree tree;
	struct task *task; /* NULL: nothing is seized */
	pid_t *tids;
	int pidfd, mem;

	struct visit *visit; /* NULL: the agent is not inside */
	bool entered;	     /* or it began to */
	bool broken;	     /* the agent can play no more */
	char *room;
	uint64_t room_addr;
	size_t room_len, room_used;
	uint64_t stack_end; /* 0: none yet */

	struct program call; /* used again and again */
	char error[512];
};

/* session_init() for a library. */
void inject_session_init(struct session *s);

/* Moves the failure of a session into t->error; returns r. */
int inject_report(struct fermata_inject *t, struct session *s, int r);
int inject_fail(struct fermata_inject *t, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* -ESRCH unless something is seized. Clears the last error. */
int inject_need_task(struct fermata_inject *t);
/* Brings the agent in if it is not. */
int inject_need_agent(struct fermata_inject *t);

/* Plays on the leader. */
int inject_play(struct fermata_inject *t, struct program *p);

/* Whole pages of the room: their offset in it, or -ENOSPC. prot: what they shall have there. */
ssize_t inject_take_room(struct fermata_inject *t, size_t len, int prot);
int inject_protect(struct fermata_inject *t, size_t offset, size_t len, int prot);

struct thread *inject_find_thread(const struct fermata_inject *t, pid_t tid);

#endif
