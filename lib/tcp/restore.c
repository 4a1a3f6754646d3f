/*
 * Making a fresh socket the end of a connection.
 *
 * Order, each forced by the one after: numbers can be set only before connect(2), which in repair
 * mode sends nothing and gives ESTABLISHED; agreed options only then, and before data; the
 * window is checked against what was received, so data come first; FINs last, in the order in
 * which they were sent, since they take the socket out of the states in which the rest can be set.
 * Queues are filled below the FINs: numbers of the image that count one are lowered by it.
 *
 * Buffers are as large as can be meanwhile. That also gives the window clamp, fixed by connect(2),
 * its largest value; afterwards it is the buffer that limits the window.
 *
 * connect(2) chooses a scale of the own window by the system's settings, which only TCPOPT_WINDOW
 * changes, and that also says that scaling was agreed on.  Without it the scale must be none,
 * else the window told is a fraction of what it should be, mostly nothing: a clamp of 64K sees
 * to that (tcp_select_initial_window()), and is what the kernel gives such connections at first.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>

#include "internal.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

enum {
	TCPOPT_MAXSEG = 2,
	TCPOPT_WINDOW = 3,
	TCPOPT_SACK_PERMITTED = 4,
	TCPOPT_TIMESTAMP = 8,
	UNSCALED_MAX = 65535,
	PIECE_MAX = 64 << 10, /* of the receive queue: the kernel makes one buffer of each */
	PIECE_MIN = 1024,
	TRIES = 200, /* of an injected segment, 10 ms each */
};

static socklen_t name_len(const struct sockaddr_storage *name)
{
	return name->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					  : sizeof(struct sockaddr_in6);
}

/* --- buffers --- */

struct buffers {
	int send, receive, lock;
};

static int get_socket_int(int fd, int option)
{
	int v = -1;
	socklen_t len = sizeof(v);
	return getsockopt(fd, SOL_SOCKET, option, &v, &len) < 0 ? -1 : v;
}

static void set_buffers(int fd, const struct buffers *b)
{
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &b->send, sizeof(b->send));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &b->receive, sizeof(b->receive));
	if (b->lock >= 0)
		setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &b->lock, sizeof(b->lock));
}

static struct buffers grow_buffers(int fd)
{
	/* the kernel doubles what is set */
	struct buffers old = {.send = get_socket_int(fd, SO_SNDBUF) / 2,
		.receive = get_socket_int(fd, SO_RCVBUF) / 2,
		.lock = get_socket_int(fd, SO_BUF_LOCK)};
	set_buffers(fd, &(struct buffers){INT_MAX / 2, INT_MAX / 2, -1});
	return old;
}

/* --- the connection --- */

static int set_seq(struct fermata_tcp *c, int fd, int queue, uint32_t seq)
{
	int r = set_int(c, fd, "TCP_REPAIR_QUEUE", TCP_REPAIR_QUEUE, (uint32_t)queue);
	return r < 0 ? r : set_int(c, fd, "TCP_QUEUE_SEQ", TCP_QUEUE_SEQ, seq);
}

static int bind_and_number(int fd, struct fermata_tcp *c, uint32_t inq_seq, uint32_t outq_seq)
{
	if (bind(fd, (struct sockaddr *)&c->local, name_len(&c->local)) < 0)
		return failed(c, "bind", errno);
	uint32_t syn = c->state == SYN_SENT;
	int r = set_seq(c, fd, TCP_RECV_QUEUE, inq_seq - c->inq_len);
	return r < 0 ? r : set_seq(c, fd, TCP_SEND_QUEUE, outq_seq - c->outq_len - syn);
}

static int forbid_scale(int fd, struct fermata_tcp *c)
{
	if (c->options & TCPI_OPT_WSCALE)
		return 0;
	return set_int(c, fd, "TCP_WINDOW_CLAMP", TCP_WINDOW_CLAMP, UNSCALED_MAX);
}

static int connect_to(int fd, struct fermata_tcp *c)
{
	return connect(fd, (struct sockaddr *)&c->remote, name_len(&c->remote)) < 0
		       ? failed(c, "connect", errno)
		       : 0;
}

/* Its SYN goes out again, and is dropped like all else until the end of the lock. */
static int connect_anew(int fd, struct fermata_tcp *c)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return failed(c, "O_NONBLOCK", errno);
	int r = set_int(c, fd, "TCP_REPAIR", TCP_REPAIR, (uint32_t)TCP_REPAIR_OFF_NO_WP);
	if (r >= 0)
		r = connect_to(fd, c);
	if (r == -EINPROGRESS)
		r = 0;
	if (r >= 0)
		r = set_int(c, fd, "TCP_REPAIR", TCP_REPAIR, TCP_REPAIR_ON);
	fcntl(fd, F_SETFL, flags);
	return r;
}

static int set_options(int fd, struct fermata_tcp *c)
{
	struct tcp_repair_opt opts[4];
	unsigned n = 0;
	if (c->options & TCPI_OPT_SACK)
		opts[n++] = (struct tcp_repair_opt){TCPOPT_SACK_PERMITTED, 0};
	if (c->options & TCPI_OPT_WSCALE)
		opts[n++] =
			(struct tcp_repair_opt){TCPOPT_WINDOW, c->snd_wscale | c->rcv_wscale << 16};
	if (c->options & TCPI_OPT_TIMESTAMPS)
		opts[n++] = (struct tcp_repair_opt){TCPOPT_TIMESTAMP, 0};
	opts[n++] = (struct tcp_repair_opt){TCPOPT_MAXSEG, c->mss_clamp};
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, opts, n * sizeof(opts[0])) < 0)
		return failed(c, "TCP_REPAIR_OPTIONS", errno);
	if (!(c->options & TCPI_OPT_TIMESTAMPS))
		return 0;
	return set_int(c, fd, "TCP_TIMESTAMP", TCP_TIMESTAMP, c->timestamp);
}

/* --- queues --- */

/* Each send() takes what the kernel gets memory for at once: less when it is short of it. */
static int feed(
	struct fermata_tcp *c, int fd, const char *step, const char *data, size_t len, size_t piece)
{
	while (len) {
		size_t want = len < piece ? len : piece;
		ssize_t n = send(fd, data, want, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0) {
			if (n < 0 && errno == EINTR)
				continue;
			if (want / 2 < PIECE_MIN)
				return failed(c, step, n < 0 ? errno : EIO);
			piece = want / 2;
			continue;
		}
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int feed_received(int fd, struct fermata_tcp *c)
{
	if (!c->inq_len)
		return 0;
	int r = set_int(c, fd, "TCP_REPAIR_QUEUE", TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
	return r < 0 ? r : feed(c, fd, "fill the receive queue", c->inq, c->inq_len, PIECE_MAX);
}

/*
 * What is sent in repair mode counts as sent before; the rest is queued as a program would. The
 * window is still zero, so no segment of it goes out.
 */
static int feed_sent(int fd, struct fermata_tcp *c)
{
	if (!c->outq_len)
		return 0;
	const char *data = c->outq;
	uint32_t sent = c->outq_len - c->unsq_len;
	int r = set_int(c, fd, "TCP_REPAIR_QUEUE", TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	if (r >= 0)
		r = feed(c, fd, "fill the send queue", data, sent, sent);
	if (r < 0 || !c->unsq_len)
		return r;
	r = set_int(c, fd, "TCP_REPAIR", TCP_REPAIR, (uint32_t)TCP_REPAIR_OFF_NO_WP);
	if (r >= 0)
		r = feed(c, fd, "fill the send queue", data + sent, c->unsq_len, c->unsq_len);
	return r < 0 ? r : set_int(c, fd, "TCP_REPAIR", TCP_REPAIR, TCP_REPAIR_ON);
}

static int set_window(int fd, struct fermata_tcp *c)
{
	if (!c->has_window || c->state == CLOSED)
		return 0;
	uint32_t fin = in_states(c->state, REMOTE_FIN);
	struct tcp_repair_window w = {.snd_wl1 = c->snd_wl1,
		.snd_wnd = c->snd_wnd,
		.max_window = c->max_window,
		.rcv_wnd = c->rcv_wnd + fin,
		.rcv_wup = c->rcv_wup - fin};
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof(w)) < 0)
		return failed(c, "TCP_REPAIR_WINDOW", errno);
	return 0;
}

/*
 * connect(2) reckoned the size of segments from the smallest that every peer takes, and
 * TCPOPT_MAXSEG does not reckon anew: it would stay until the peer opens its window further than
 * ever.  A change of the IP options does (do_ip_setsockopt(), ipv6_update_options()), though there
 * are none before and none after.  If a kernel does not take that, the connection is slower for a
 * while.
 */
static void reckon_segments(int fd, const struct fermata_tcp *c)
{
	const struct in6_addr *six = &((const struct sockaddr_in6 *)&c->remote)->sin6_addr;
	if (c->remote.ss_family == AF_INET || IN6_IS_ADDR_V4MAPPED(six)) {
		setsockopt(fd, IPPROTO_IP, IP_OPTIONS, NULL, 0);
		return;
	}
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} usual = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			   .cmsg_level = IPPROTO_IPV6,
			   .cmsg_type = IPV6_DONTFRAG}};
	setsockopt(fd, IPPROTO_IPV6, IPV6_2292PKTOPTIONS, &usual, sizeof(usual));
	setsockopt(fd, IPPROTO_IPV6, IPV6_2292PKTOPTIONS, NULL, 0);
}

/* --- FINs --- */

/*
 * An acknowledged one must count as sent, which only repair mode of the send queue does without
 * a window.
 */
static int send_fin(int fd, struct fermata_tcp *c)
{
	bool acked = in_states(c->state, OWN_FIN_ACKED);
	int queue = acked ? TCP_SEND_QUEUE : TCP_NO_QUEUE;
	int r = set_int(c, fd, "TCP_REPAIR_QUEUE", TCP_REPAIR_QUEUE, (uint32_t)queue);
	if (r >= 0 && shutdown(fd, SHUT_WR) < 0)
		r = failed(c, "shutdown", errno);
	return r < 0 || !acked ? r
			       : set_int(c, fd, "TCP_REPAIR_QUEUE", TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
}

/*
 * Injects until the socket is in one of the states. Mostly the segment has arrived when sendto(2)
 * returns; on a busy machine a kernel thread delivers it later.
 */
static int inject_until(int fd, const struct fermata_tcp *c, unsigned states, uint32_t seq,
	uint32_t ack, unsigned flags)
{
	struct tcp_info info;
	for (int i = 0; i < TRIES; i++) {
		int r = inject_segment(c, seq, ack, flags);
		if (r >= 0)
			r = tcp_state_of(fd, &info);
		if (r < 0)
			return r;
		if (in_states(info.tcpi_state, states))
			return 0;
		poll(NULL, 0, 10);
	}
	return -ETIMEDOUT;
}

static int receive_fin(int fd, struct fermata_tcp *c, uint32_t inq_seq, uint32_t outq_seq)
{
	int r = inject_until(fd, c, 1 << CLOSE_WAIT | 1 << CLOSING, inq_seq, outq_seq - c->outq_len,
		SEGMENT_FIN | SEGMENT_ACK);
	return r < 0 ? failed(c, "deliver the FIN of the peer", -r) : 0;
}

static int receive_ack(int fd, struct fermata_tcp *c, uint32_t inq_seq, uint32_t outq_seq)
{
	int r = inject_until(
		fd, c, 1u << c->state, inq_seq + (c->state == CLOSED), outq_seq + 1, SEGMENT_ACK);
	return r < 0 ? failed(c, "deliver the acknowledgement of the FIN", -r) : 0;
}

static int exchange_fins(int fd, struct fermata_tcp *c, uint32_t inq_seq, uint32_t outq_seq)
{
	int r = 0;
	if (in_states(c->state, OWN_FIN_FIRST))
		r = send_fin(fd, c);
	if (r >= 0 && in_states(c->state, REMOTE_FIN))
		r = receive_fin(fd, c, inq_seq, outq_seq);
	if (r >= 0 && in_states(c->state, OWN_FIN_LAST))
		r = send_fin(fd, c);
	if (r >= 0 && in_states(c->state, OWN_FIN_ACKED))
		r = receive_ack(fd, c, inq_seq, outq_seq);
	return r;
}

/* --- all of it --- */

static int restore(int fd, struct fermata_tcp *c)
{
	uint32_t inq_seq = c->inq_seq - in_states(c->state, REMOTE_FIN);
	uint32_t outq_seq = c->outq_seq - in_states(c->state, OWN_FIN);
	int r = bind_and_number(fd, c, inq_seq, outq_seq);
	if (r < 0)
		return r;
	if (c->state == SYN_SENT)
		return connect_anew(fd, c);
	r = forbid_scale(fd, c);
	if (r >= 0)
		r = connect_to(fd, c);
	if (r >= 0)
		r = set_options(fd, c);
	if (r >= 0)
		r = feed_received(fd, c);
	if (r >= 0)
		r = feed_sent(fd, c);
	if (r >= 0)
		r = set_int(c, fd, "TCP_REPAIR_QUEUE", TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
	if (r >= 0)
		r = set_window(fd, c);
	if (r >= 0)
		reckon_segments(fd, c);
	return r < 0 ? r : exchange_fins(fd, c, inq_seq, outq_seq);
}

static int check(struct fermata_tcp *c)
{
	sa_family_t family = c->local.ss_family;
	if ((family != AF_INET && family != AF_INET6) || c->remote.ss_family != family)
		return failed(c, "addresses", EAFNOSUPPORT);
	if (!in_states(c->state, SAVEABLE))
		return failed(c, "state", EOPNOTSUPP);
	if (c->unsq_len > c->outq_len || (c->outq_len && !c->outq) || (c->inq_len && !c->inq) ||
		c->snd_wscale > 14 || c->rcv_wscale > 14)
		return failed(c, "queues", EINVAL);
	return 0;
}

int fermata_tcp_restore(int fd, struct fermata_tcp *c)
{
	int r = check(c);
	if (r < 0)
		return r;
	r = fermata_tcp_pause(fd);
	if (r < 0)
		return failed(c, "TCP_REPAIR", -r);
	struct buffers old = grow_buffers(fd);
	r = restore(fd, c);
	if (r < 0) /* a failed step may have been outside of it */
		set_int(&(struct fermata_tcp){0}, fd, "", TCP_REPAIR, TCP_REPAIR_ON);
	set_buffers(fd, &old);
	return r;
}
