/* What the files of libfermata-tcp share. */
#ifndef FERMATA_LIB_TCP_INTERNAL_H
#define FERMATA_LIB_TCP_INTERNAL_H

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "fermata/tcp.h"

/* States of the kernel (net/tcp_states.h); linux/tcp.h and netinet/tcp.h exclude each other. */
enum {
	ESTABLISHED = 1,
	SYN_SENT,
	SYN_RECV,
	FIN_WAIT1,
	FIN_WAIT2,
	TIME_WAIT,
	CLOSED,
	CLOSE_WAIT,
	LAST_ACK,
	LISTEN,
	CLOSING
};

static inline bool in_states(uint32_t state, unsigned mask)
{
	return state < 32 && mask >> state & 1;
}

/* Our FIN was sent before the peer's came, or it did not come. */
enum { OWN_FIN_FIRST = 1 << FIN_WAIT1 | 1 << FIN_WAIT2 | 1 << CLOSING };
/* Our FIN was sent after the peer's came. */
enum { OWN_FIN_LAST = 1 << LAST_ACK | 1 << CLOSED };
enum { OWN_FIN = OWN_FIN_FIRST | OWN_FIN_LAST };
enum { OWN_FIN_ACKED = 1 << FIN_WAIT2 | 1 << CLOSED };
enum { REMOTE_FIN = 1 << CLOSE_WAIT | 1 << LAST_ACK | 1 << CLOSED | 1 << CLOSING };
enum { SAVEABLE = 1 << ESTABLISHED | 1 << SYN_SENT | OWN_FIN | REMOTE_FIN };

/* Records the step and returns -err. */
static inline int failed(struct fermata_tcp *c, const char *step, int err)
{
	c->failed = step;
	return -(err ? err : EIO);
}

static inline int set_int(struct fermata_tcp *c, int fd, const char *step, int option, uint32_t v)
{
	return setsockopt(fd, IPPROTO_TCP, option, &v, sizeof(v)) < 0 ? failed(c, step, errno) : 0;
}

/* inject.c: TCP segment with these flags, as the peer would have sent it. */
enum { SEGMENT_FIN = 0x01, SEGMENT_ACK = 0x10 };
int inject_segment(const struct fermata_tcp *c, uint32_t seq, uint32_t ack, unsigned flags);

/* save.c */
int tcp_state_of(int fd, struct tcp_info *ret);

#endif
