/* Connections of TCP that wait to be accepted, with both ends in the tree. */
#ifndef FERMATA_SOCKET_TCP_PENDING_H
#define FERMATA_SOCKET_TCP_PENDING_H

#include "socket/inet.h"

/* --- dump --- */

/* n of them wait at this listener. */
void tcp_pending_add(struct file_dump *d, const struct file_view *v, InetSkEntry *e, uint32_t n);
/* Once all sockets are known: blocks what cannot be kept. */
int tcp_pending_look(struct file_dump *d);

/* What they have received, finally: when their clients are paused. */
int tcp_pending_read(struct file_dump *d);

/* --- restore --- */

/* All of them, in the order in which they are to be accepted. Listeners must be there. */
int tcp_pending_make(struct file_set *f);

#endif
