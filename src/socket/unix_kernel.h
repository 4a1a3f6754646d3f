/*
 * Unix sockets as the kernel has them in its memory (kernel_memory.h): what recvmsg(MSG_PEEK) does
 * not show.  Sockets and messages are addresses in the kernel; those of stopped tasks hold still.
 */
#ifndef FERMATA_SOCKET_UNIX_KERNEL_H
#define FERMATA_SOCKET_UNIX_KERNEL_H

#include "socket/unix.h"

struct kernel_message {
	uint64_t at; /* struct sk_buff */
	uint32_t len;
	bool scattered; /* not in one piece, or a part of it has been received */
	bool has_files;
};

typedef VEC(struct kernel_message) kernel_message_vec;

/* What is in the queue of a socket; up to `next` it is in the dump. */
struct kernel_queue {
	kernel_message_vec all;
	size_t next;
};

/* Opened at the first call; NULL: this kernel does not allow it. */
struct unix_kernel *unix_kernel_get(struct file_dump *d);
void unix_kernel_close(struct file_dump *d);

/* The socket of a descriptor of ours; 0: it cannot be found. */
uint64_t unix_kernel_sock(struct unix_kernel *k, int fd);
/* All that is queued in a socket, of a listener one message for each connection. */
bool unix_kernel_queue(struct unix_kernel *k, uint64_t sock, kernel_message_vec *ret);
/* The other end of a connection that is not accepted yet; of a datagram the sender. */
uint64_t unix_kernel_owner(struct unix_kernel *k, const struct kernel_message *m);
/* m->len bytes, which must not be scattered. */
bool unix_kernel_bytes(struct unix_kernel *k, const struct kernel_message *m, void *ret);
/* NULL: the kernel keeps no credentials with it, or they cannot be read. */
FermataUcred *unix_kernel_creds(struct unix_kernel *k, const struct kernel_message *m);
/* Bytes of its name, as in sockaddr_un; false: it cannot be read. */
bool unix_kernel_name(struct unix_kernel *k, uint64_t sock, ProtobufCBinaryData *ret);

#endif
