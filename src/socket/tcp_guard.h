/*
 * A child that outlives the controller, if need be, to put TCP connections right.
 *
 * Repair mode stays with a socket when the controller dies, and rules stay in the kernel.  The
 * guard has copies of the descriptors, sleeps in read(2) on a pipe whose other end only the
 * controller has, and is told there that it is not needed.  If the pipe ends without a word it
 * acts.
 */
#ifndef FERMATA_SOCKET_TCP_GUARD_H
#define FERMATA_SOCKET_TCP_GUARD_H

#include <sys/types.h>

struct session;

struct tcp_guard {
	pid_t pid; /* 0: none */
	int pipe;
};

/*
 * rescue(arg) is called in the child, on its copy of all memory, if the controller dies and
 * the task `alive` then lives on for wait_ms.
 */
int tcp_guard_start(struct session *s, struct tcp_guard *g, pid_t alive, int wait_ms,
	void (*rescue)(void *arg), void *arg);

/* Sends it away. */
void tcp_guard_dismiss(struct tcp_guard *g);

#endif
