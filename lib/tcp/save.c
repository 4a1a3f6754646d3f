/*
 * Reading a connection from a paused socket.
 *
 * Sequence numbers are TCP_QUEUE_SEQ of each queue, contents MSG_PEEK of it.  The peek of the
 * send queue (tcp_peek_sndq()) copies all or fails, so there is one buffer for all.  A FIN counts
 * one in the numbers and the ioctls; our own is subtracted, that of the peer by the kernel.
 */
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "internal.h"

enum { SEGMENT_MAX = 1 << 16 };

int tcp_state_of(int fd, struct tcp_info *ret)
{
	memset(ret, 0, sizeof(*ret));
	socklen_t len = sizeof(*ret);
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret, &len) < 0 ? -errno : 0;
}

static int get_int(struct fermata_tcp *c, int fd, const char *step, int option, uint32_t *ret)
{
	socklen_t len = sizeof(*ret);
	return getsockopt(fd, IPPROTO_TCP, option, ret, &len) < 0 ? failed(c, step, errno) : 0;
}

static int save_addresses(int fd, struct fermata_tcp *c)
{
	socklen_t len = sizeof(c->local);
	if (getsockname(fd, (struct sockaddr *)&c->local, &len) < 0)
		return failed(c, "getsockname", errno);
	/* not getpeername(2), which knows none in SYN_SENT and CLOSE; len: no more than there is */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &c->remote, &len) < 0)
		return failed(c, "SO_PEERNAME", errno);
	return 0;
}

/* Data of a fast open counts as unsent when it is connected, as for SIOCOUTQNSD. */
static int save_options(int fd, struct fermata_tcp *c)
{
	struct tcp_info info;
	int r = tcp_state_of(fd, &info);
	if (r < 0)
		return failed(c, "TCP_INFO", -r);
	c->state = info.tcpi_state;
	c->unsq_len = c->state == SYN_SENT ? 0 : info.tcpi_notsent_bytes;
	if (!in_states(c->state, SAVEABLE))
		return failed(c, "state", EOPNOTSUPP);
	c->options = info.tcpi_options;
	if (c->options & TCPI_OPT_WSCALE) {
		c->snd_wscale = info.tcpi_snd_wscale;
		c->rcv_wscale = info.tcpi_rcv_wscale;
	}
	r = get_int(c, fd, "TCP_MAXSEG", TCP_MAXSEG, &c->mss_clamp);
	if (r >= 0 && c->options & TCPI_OPT_TIMESTAMPS)
		r = get_int(c, fd, "TCP_TIMESTAMP", TCP_TIMESTAMP, &c->timestamp);
	return r;
}

static int save_window(int fd, struct fermata_tcp *c)
{
	struct tcp_repair_window w;
	socklen_t len = sizeof(w);
	if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, &len) < 0)
		return failed(c, "TCP_REPAIR_WINDOW", errno);
	c->has_window = 1;
	c->snd_wl1 = w.snd_wl1;
	c->snd_wnd = w.snd_wnd;
	c->max_window = w.max_window;
	c->rcv_wnd = w.rcv_wnd;
	c->rcv_wup = w.rcv_wup;
	return 0;
}

static int save_lengths(int fd, struct fermata_tcp *c)
{
	int in = 0, out = 0;
	if (ioctl(fd, SIOCINQ, &in) < 0 || ioctl(fd, SIOCOUTQ, &out) < 0)
		return failed(c, "queue lengths", errno);
	if (c->state == CLOSED)
		out = 0, c->unsq_len = 0;
	bool fin = in_states(c->state, OWN_FIN);
	c->inq_len = (uint32_t)in;
	c->outq_len = (uint32_t)(out - (fin && out));
	c->unsq_len -= fin && c->unsq_len;
	return 0;
}

/*
 * Ends with the last byte of the queue; may begin with some that the peer acknowledged, when it
 * took less than one segment: the kernel keeps that whole.
 */
static int peek(int fd, struct fermata_tcp *c, const char *step, uint32_t len, void **ret_data)
{
	size_t room = (size_t)len + SEGMENT_MAX;
	char *data = malloc(room);
	if (!data)
		return failed(c, "memory", ENOMEM);
	*ret_data = data;
	ssize_t n = recv(fd, data, room, MSG_PEEK | MSG_DONTWAIT);
	if (n < (ssize_t)len)
		return failed(c, step, n < 0 ? errno : EIO);
	memmove(data, data + (n - len), len);
	return n > (ssize_t)len && data == c->inq ? failed(c, step, EIO) : 0;
}

static int save_queue(
	int fd, struct fermata_tcp *c, uint32_t queue, uint32_t len, uint32_t *ret_seq)
{
	bool receive = queue == TCP_RECV_QUEUE;
	int r = set_int(c, fd, "TCP_REPAIR_QUEUE", TCP_REPAIR_QUEUE, queue);
	if (r >= 0)
		r = get_int(c, fd, "TCP_QUEUE_SEQ", TCP_QUEUE_SEQ, ret_seq);
	if (r < 0 || !len)
		return r;
	return receive ? peek(fd, c, "peek at the receive queue", len, &c->inq)
		       : peek(fd, c, "peek at the send queue", len, &c->outq);
}

/*
 * What would be lost: an error that waits, be it by a connection that broke; an urgent byte that
 * was not read, or a mark in data that is read inline.
 */
static int refuse_lost(int fd, struct fermata_tcp *c)
{
	struct pollfd p = {.fd = fd, .events = POLLPRI};
	if (poll(&p, 1, 0) < 0)
		return failed(c, "poll", errno);
	if (p.revents & POLLERR)
		return failed(c, "an error that waits", ECONNRESET);
	return p.revents & POLLPRI ? failed(c, "urgent data", EOPNOTSUPP) : 0;
}

static int save(int fd, struct fermata_tcp *c)
{
	int r = save_addresses(fd, c);
	if (r >= 0)
		r = save_options(fd, c);
	if (r >= 0)
		r = refuse_lost(fd, c);
	if (r >= 0)
		r = save_lengths(fd, c);
	if (r >= 0)
		r = save_window(fd, c);
	if (r >= 0)
		r = save_queue(fd, c, TCP_RECV_QUEUE, c->inq_len, &c->inq_seq);
	if (r >= 0)
		r = save_queue(fd, c, TCP_SEND_QUEUE, c->outq_len, &c->outq_seq);
	return r; /* with a queue still chosen: that ends with repair mode, and is undone by it */
}

int fermata_tcp_save(int fd, struct fermata_tcp *c)
{
	memset(c, 0, sizeof(*c));
	int r = save(fd, c);
	if (r < 0)
		fermata_tcp_release(c);
	return r;
}

void fermata_tcp_release(struct fermata_tcp *c)
{
	free(c->inq);
	free(c->outq);
	c->inq = c->outq = NULL;
}
