/* Looking at what is queued in a unix socket without taking it out. */
#ifndef FERMATA_SOCKET_UNIX_PEEK_H
#define FERMATA_SOCKET_UNIX_PEEK_H

#include "socket/unix.h"

/* One message as it was peeked. */
struct message {
	struct unix_dumped *u;
	size_t len;
	int fds[UNIX_MAX_FDS];
	unsigned n_fds;
	bool has_creds, has_label, cut;
	struct ucred creds;
	struct sockaddr_un from;
	size_t from_len;
};

/* data: m->len bytes. Files that fn takes over it sets to -1 in m->fds. */
typedef int message_fn(struct file_dump *d, struct message *m, const char *data);

/* Calls fn for each message in the queue of u, in order. 0 or a negative errno. */
int unix_walk_queue(struct file_dump *d, struct unix_dumped *u, message_fn *fn);

#endif
