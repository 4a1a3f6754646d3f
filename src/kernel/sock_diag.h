/*
 * NETLINK_SOCK_DIAG (sock_diag(7)): lists the sockets of the controller's network namespace.
 *
 * A request is a family's own struct (unix_diag_req, inet_diag_req_v2, netlink_diag_req,
 * packet_diag_req); all begin with family and protocol.  Answers are a struct of that family
 * followed by attributes.  One query costs a pass over all sockets of the namespace: ask once per
 * run and family, not once per socket.
 */
#ifndef FERMATA_KERNEL_SOCK_DIAG_H
#define FERMATA_KERNEL_SOCK_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/* The answer for one socket; valid during the call. Returns 0 or a negative errno that ends it. */
typedef int sock_diag_fn(void *arg, const void *message, size_t len);

/*
 * Calls fn for each socket that the request selects. 0 or a negative errno.  -ENOENT, with no
 * failure recorded, means that the kernel lacks the diag module of that family or protocol: what
 * that means only the caller knows.  Any other error is recorded.
 */
int sock_diag_list(struct session *s, const void *request, size_t len, sock_diag_fn *fn, void *arg);

/*
 * Exact requests, of inet sockets: one socket by its addresses. The fixed part of the answer (of a
 * listener, too, if there is no other), or a negative errno without a failure: -ENOENT there is
 * none. destroy: SOCK_DESTROY, which ends a connection (CONFIG_INET_DIAG_DESTROY).
 */
int sock_diag_get(const void *request, size_t len, void *ret, size_t ret_len);
int sock_diag_destroy(const void *request, size_t len);

/*
 * The attribute of that type behind the fixed part (head_len bytes) of a message, and its length;
 * NULL if there is none. It may be unaligned for types over 4 bytes: copy those out.
 */
const void *sock_diag_attr(
	const void *message, size_t len, size_t head_len, unsigned type, size_t *ret_len);

/* The same for a u32 or u8; absent if missing or shorter. */
uint32_t sock_diag_u32(
	const void *message, size_t len, size_t head_len, unsigned type, uint32_t absent);
uint8_t sock_diag_u8(
	const void *message, size_t len, size_t head_len, unsigned type, uint8_t absent);

/* Where a walk over the attributes of a message is; begins behind its fixed part. */
struct sock_diag_walk {
	const char *at;
	size_t left;
};

struct sock_diag_walk sock_diag_begin(const void *message, size_t len, size_t head_len);

/* The next one, and its value, which is not aligned; false at the end, or before one cut off. */
struct sock_diag_item {
	unsigned type;
	size_t len;
	const void *value;
};

bool sock_diag_next(struct sock_diag_walk *walk, struct sock_diag_item *ret);

/* Walks a buffer of netlink messages. 1: more to come, 0: that was the last, or negative. */
int sock_diag_parse(const void *data, size_t len, sock_diag_fn *fn, void *arg);

#endif
