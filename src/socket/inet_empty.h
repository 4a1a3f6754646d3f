/*
 * Empty datagrams in the queue of a UDP socket.  MSG_PEEK shows each of them only once, be it to a
 * dump before, so they are read from the kernel's own list (sock_memory.h).
 */
#ifndef FERMATA_SOCKET_INET_EMPTY_H
#define FERMATA_SOCKET_INET_EMPTY_H

#include "socket/inet.h"
#include "socket/sock_memory.h"

struct inet_empties {
	struct sock_memory *sockets; /* NULL: the kernel does not tell */
	sock_message_vec all;	     /* the whole queue */
	size_t next;		     /* what is before it was met */
	uint32_t offset[5];	     /* of members, inet_empty.c */
};

void inet_empties_list(struct file_dump *d, int fd, struct inet_empties *ret);

/* The next datagram has nothing in it: fills ret, which is then met. */
bool inet_empties_take(struct arena *a, struct inet_empties *x, FermataDatagram *ret);

/*
 * The next datagram has len bytes, as a look at it says: is met. False: the queue is another. What
 * came since it was listed is not in it, and looked at for the first time.
 */
bool inet_empties_pass(struct inet_empties *x, size_t len);

#endif
