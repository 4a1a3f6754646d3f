/*
 * Sockets as the kernel has them in its memory (kernel_memory.h): what no call shows without taking
 * it away.  Sockets and messages are addresses in the kernel; those of stopped tasks hold still.
 */
#ifndef FERMATA_SOCKET_SOCK_MEMORY_H
#define FERMATA_SOCKET_SOCK_MEMORY_H

#include "file/dumping.h"
#include "kernel/kernel_memory.h"

/* struct sk_buff */
struct sock_message {
	uint64_t at;
	uint32_t len;
};

typedef VEC(struct sock_message) sock_message_vec;

struct sock_memory;

/* Open from the first call on until the end of the dump; NULL: this kernel does not allow it. */
struct sock_memory *sock_memory_get(struct file_dump *d);
void sock_memory_close(struct file_dump *d);
struct kernel_memory *sock_memory_kernel(struct sock_memory *m);

/* The socket of a descriptor of ours; 0: it cannot be found. */
uint64_t sock_find(struct sock_memory *m, int fd);
/* All that is queued in a socket. */
bool sock_queue(struct sock_memory *m, uint64_t sock, sock_message_vec *ret);
/* Of another queue (struct sk_buff_head); both append. */
bool sock_queue_at(struct sock_memory *m, uint64_t queue, sock_message_vec *ret);
/* len bytes of it from an offset on; false: they cannot be read. */
bool sock_message_read(struct sock_memory *m, const struct sock_message *message, uint32_t offset,
	void *ret, size_t len);
/* Whom it is accounted to. */
uint64_t sock_message_owner(struct sock_memory *m, const struct sock_message *message);
/* What its protocol keeps with it: skb->cb. */
uint64_t sock_message_cb(const struct sock_memory *m, const struct sock_message *message);

#endif
