/*
 * Keeping packets of TCP connections from sockets that are being dumped or do not exist yet.
 *
 * Without it the kernel answers the peer with RST, and acknowledges data after they were saved.
 * Dropped packets are sent again.  The lock of a successful dump outlives the tool, up to the
 * restore: spec/images-files.md 18.1.
 */
#ifndef FERMATA_SOCKET_NET_LOCK_H
#define FERMATA_SOCKET_NET_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct session;

struct net_conn {
	struct sockaddr_storage local, remote;
};

struct net_lock {
	int method;	    /* enum network_lock */
	const char *run_id; /* of the dump: its name */
	const struct net_conn *conns;
	size_t n;
	int owner; /* netlink socket whose end is that of the lock; -1: it has none */
	bool ours; /* made by this run */
};

/* 0, or a negative errno without a failure: the kernel cannot. */
int net_lock_probe(int method);

/* Makes it, for all connections at once. temporary: it shall not outlive this process. */
int net_lock_make(struct session *s, struct net_lock *l, bool temporary);

/* The same unless it exists: then it is left as it is. */
int net_lock_ensure(struct session *s, struct net_lock *l);

/* Removes it, whoever made it. Needs no session: also for guard.h. Negative errno. */
int net_lock_remove(struct net_lock *l);

#endif
