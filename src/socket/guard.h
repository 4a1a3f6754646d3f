/*
 * A child that outlives the controller, if need be, to put sockets right.
 *
 * Repair mode of TCP stays with a socket when the controller dies, rules stay in the kernel, and
 * what was taken out of a queue to be read stays out.  The guard has copies of the descriptors,
 * sleeps in read(2) on a pipe whose other end only the controller has, and is told there that it is
 * not needed.  If the pipe ends without a word it acts.
 */
#ifndef FERMATA_SOCKET_GUARD_H
#define FERMATA_SOCKET_GUARD_H

#include <sys/types.h>

struct session;

struct guard {
	pid_t pid; /* 0: none */
	int pipe;
};

/* What to do if the controller dies: in the child, on its copy of all memory. */
struct guard_duty {
	pid_t alive;		   /* this task decides, as it is after ... */
	int wait_ms;		   /* ... so long */
	void (*rescue)(void *arg); /* it lives on */
	void (*bury)(void *arg);   /* it has died; NULL: nothing to do */
	void *arg;
};

int guard_start(struct session *s, struct guard *g, const struct guard_duty *duty);

/* Sends it away. */
void guard_dismiss(struct guard *g);

#endif
