/* What only the kernel's memory tells of messages in unix sockets. */
#ifndef FERMATA_SOCKET_UNIX_KERNEL_H
#define FERMATA_SOCKET_UNIX_KERNEL_H

#include "socket/sock_memory.h"
#include "socket/unix.h"

/* What is in the queue of a socket; up to `next` it is in the dump. */
struct kernel_queue {
	sock_message_vec all;
	size_t next;
};

/* Opened at the first call; NULL: this kernel does not allow it. */
struct unix_kernel *unix_kernel_get(struct file_dump *d);

/* It has files, or a part of it was received; or that cannot be read. */
bool unix_kernel_is_odd(struct unix_kernel *k, const struct sock_message *m);
/* There is an urgent byte in its queue (MSG_OOB), or that cannot be read. */
bool unix_kernel_has_urgent(struct unix_kernel *k, uint64_t sock);
/* NULL: the kernel keeps no credentials with it, or they cannot be read. */
FermataUcred *unix_kernel_creds(struct unix_kernel *k, const struct sock_message *m);
/* Of the other end of a connection: who called connect(2). NULL: that cannot be read. */
FermataUcred *unix_kernel_caller(struct unix_kernel *k, uint64_t sock);
/* Its client, which is closed, had no name and left no error. */
bool unix_kernel_can_go_on(struct unix_kernel *k, uint64_t sock);
/* Bytes of the name of a socket, as in sockaddr_un; false: it cannot be read. */
bool unix_kernel_name(struct unix_kernel *k, uint64_t sock, ProtobufCBinaryData *ret);

#endif
