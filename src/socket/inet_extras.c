/*
 * Options of inet sockets that the image has no fields for: ip(7), ipv6(7), raw(7), tcp(7), udp(7).
 *
 * Those of the table that differ from a new socket of the same kind (which is made to ask it) go to
 * fermata-files.img.  sk_opts_restore() sets them, but for what bind(2) and connect(2) depend on.
 *
 * tests/unit/test_socket_options.c lists all there are, and why some are not kept.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <linux/in6.h> /* after that */
#include <string.h>

#include "socket/inet.h"

#ifndef IP_LOCAL_PORT_RANGE /* 6.3 */
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef TCP_RTO_MAX_MS /* 6.15 */
#define TCP_RTO_MAX_MS	  44
#define TCP_RTO_MIN_US	  45
#define TCP_DELACK_MAX_US 46
#endif
#ifndef SO_TXREHASH /* 5.18 */
#define SO_TXREHASH 74
#endif
#ifndef UDPLITE_SEND_CSCOV
#define UDPLITE_SEND_CSCOV 10
#define UDPLITE_RECV_CSCOV 11
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#ifndef IPV6_RECVERR_RFC4884
#define IPV6_RECVERR_RFC4884 31
#endif

/* Which sockets have it; all of the bits of a row must fit. */
enum {
	FOUR = 1,
	SIX = 2,
	ANY = FOUR | SIX,
	TCP = 4,
	UDP = 8,
	LITE = 16,
	RAW = 32,
	NOT_CONNECTED = 64, /* to TCP: of a connection it tells something else, or cannot be set */
	DATAGRAM = 128,	    /* all but TCP, which has other uses for the kernel's fields */
};

enum { VALUE_MAX = 44, HEADER_MAX = 2048 };

static const struct row {
	int level, option, where, len;
	bool in_pktoptions; /* usual where IP_PKTOPTIONS has no message */
} rows[] = {
	{IPPROTO_IP, IP_OPTIONS, ANY, 40},
	{IPPROTO_IP, IP_RECVOPTS, ANY, 4},
	{IPPROTO_IP, IP_RETOPTS, ANY, 4},
	{IPPROTO_IP, IP_MTU_DISCOVER, ANY, 4},
	{IPPROTO_IP, IP_RECVERR, ANY, 4},
	{IPPROTO_IP, IP_RECVTTL, ANY, 4, .in_pktoptions = true},
	{IPPROTO_IP, IP_RECVTOS, ANY, 4, .in_pktoptions = true},
	{IPPROTO_IP, IP_PASSSEC, ANY, 4},
	{IPPROTO_IP, IP_TRANSPARENT, FOUR, 4},
	{IPPROTO_IP, IP_RECVORIGDSTADDR, ANY, 4},
	{IPPROTO_IP, IP_MINTTL, ANY, 4},
	{IPPROTO_IP, IP_CHECKSUM, ANY, 4},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, ANY, 4},
	{IPPROTO_IP, IP_RECVFRAGSIZE, ANY, 4},
	{IPPROTO_IP, IP_RECVERR_RFC4884, ANY, 4},
	{IPPROTO_IP, IP_MULTICAST_IF, ANY | DATAGRAM, 4},
	{IPPROTO_IP, IP_MULTICAST_TTL, ANY | DATAGRAM, 4},
	{IPPROTO_IP, IP_MULTICAST_LOOP, ANY | DATAGRAM, 4},
	{IPPROTO_IP, IP_MULTICAST_ALL, ANY | DATAGRAM, 4},
	{IPPROTO_IP, IP_UNICAST_IF, ANY, 4},
	{IPPROTO_IP, IP_ROUTER_ALERT, FOUR | RAW, 4},
	{IPPROTO_IP, IP_LOCAL_PORT_RANGE, ANY, 4},
	/* of IPv6 sockets the image has no fields for those */
	{IPPROTO_IP, IP_PKTINFO, SIX, 4, .in_pktoptions = true},
	{IPPROTO_IP, IP_TOS, SIX, 4},
	{IPPROTO_IP, IP_TTL, SIX, 4},

	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, SIX, 4},
	{IPPROTO_IPV6, IPV6_TCLASS, SIX, 4},
	{IPPROTO_IPV6, IPV6_MULTICAST_IF, SIX | DATAGRAM, 4},
	{IPPROTO_IPV6, IPV6_MULTICAST_HOPS, SIX | DATAGRAM, 4},
	{IPPROTO_IPV6, IPV6_MULTICAST_LOOP, SIX | DATAGRAM, 4},
	{IPPROTO_IPV6, IPV6_MULTICAST_ALL, SIX | DATAGRAM, 4},
	{IPPROTO_IPV6, IPV6_UNICAST_IF, SIX, 4},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER, SIX, 4},
	{IPPROTO_IPV6, IPV6_RECVERR, SIX, 4},
	{IPPROTO_IPV6, IPV6_RECVERR_RFC4884, SIX, 4},
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, SIX, 4},
	{IPPROTO_IPV6, IPV6_RECVHOPOPTS, SIX, 4},
	{IPPROTO_IPV6, IPV6_RECVRTHDR, SIX, 4},
	{IPPROTO_IPV6, IPV6_RECVDSTOPTS, SIX, 4},
	{IPPROTO_IPV6, IPV6_RECVPATHMTU, SIX, 4},
	{IPPROTO_IPV6, IPV6_RECVTCLASS, SIX, 4},
	{IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, SIX, 4},
	{IPPROTO_IPV6, IPV6_RECVFRAGSIZE, SIX, 4},
	{IPPROTO_IPV6, IPV6_DONTFRAG, SIX, 4},
	{IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, SIX, 4},
	{IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, SIX, 4},
	{IPPROTO_IPV6, IPV6_MINHOPCOUNT, SIX, 4},
	{IPPROTO_IPV6, IPV6_TRANSPARENT, SIX, 4},
	{IPPROTO_IPV6, IPV6_CHECKSUM, SIX | RAW, 4},
	{IPPROTO_IPV6, IPV6_ROUTER_ALERT_ISOLATE, SIX | RAW, 4},
	{IPPROTO_IPV6, IPV6_FLOWINFO, SIX, 4},
	{IPPROTO_IPV6, IPV6_FLOWINFO_SEND, SIX, 4},
	{IPPROTO_IPV6, IPV6_2292PKTINFO, SIX, 4},
	{IPPROTO_IPV6, IPV6_2292HOPLIMIT, SIX, 4},
	{IPPROTO_IPV6, IPV6_2292RTHDR, SIX, 4},
	{IPPROTO_IPV6, IPV6_2292HOPOPTS, SIX, 4},
	{IPPROTO_IPV6, IPV6_2292DSTOPTS, SIX, 4},

	{IPPROTO_TCP, TCP_CONGESTION, ANY | TCP, 16},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_SYNCNT, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_LINGER2, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_SAVE_SYN, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_INQ, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_TX_DELAY, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_RTO_MAX_MS, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_RTO_MIN_US, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_DELACK_MAX_US, ANY | TCP, 4},
	{IPPROTO_TCP, TCP_MAXSEG, ANY | TCP | NOT_CONNECTED, 4},
	{IPPROTO_TCP, TCP_WINDOW_CLAMP, ANY | TCP | NOT_CONNECTED, 4},
	{IPPROTO_TCP, TCP_FASTOPEN, ANY | TCP | NOT_CONNECTED, 4},
	{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, ANY | TCP | NOT_CONNECTED, 4},
	{IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, ANY | TCP | NOT_CONNECTED, 4},
	{IPPROTO_TCP, TCP_FASTOPEN_KEY, ANY | TCP | NOT_CONNECTED, 32},

	{IPPROTO_UDP, UDP_NO_CHECK6_TX, ANY | UDP, 4},
	{IPPROTO_UDP, UDP_NO_CHECK6_RX, ANY | UDP, 4},
	{IPPROTO_UDP, UDP_SEGMENT, ANY | UDP, 4},
	{IPPROTO_UDP, UDP_GRO, ANY | UDP, 4},
	{IPPROTO_UDP, UDP_ENCAP, ANY | UDP, 4},
	{IPPROTO_UDPLITE, UDP_NO_CHECK6_TX, ANY | LITE, 4},
	{IPPROTO_UDPLITE, UDP_NO_CHECK6_RX, ANY | LITE, 4},
	{IPPROTO_UDPLITE, UDP_SEGMENT, ANY | LITE, 4},
	{IPPROTO_UDPLITE, UDP_GRO, ANY | LITE, 4},
	{IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, ANY | LITE, 4},
	{IPPROTO_UDPLITE, UDPLITE_RECV_CSCOV, ANY | LITE, 4},
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

/* Headers of all that is sent; a new socket has none. */
static const int headers[] = {IPV6_HOPOPTS, IPV6_RTHDRDSTOPTS, IPV6_RTHDR, IPV6_DSTOPTS};

enum { N_HEADERS = sizeof(headers) / sizeof(headers[0]) };

struct value {
	socklen_t len; /* 0: the kernel does not know the option */
	char data[VALUE_MAX];
};

/* The options of a new socket. */
struct inet_usual {
	uint32_t family, type, proto;
	struct value values[N_ROWS];
};

static int kind_of(const InetSkEntry *e)
{
	int kind = e->family == AF_INET ? FOUR : SIX;
	if (e->type == SOCK_RAW)
		kind |= RAW;
	else if (inet_is_tcp(e))
		kind |= TCP;
	else if (e->proto == IPPROTO_UDP)
		kind |= UDP;
	else if (e->proto == IPPROTO_UDPLITE)
		kind |= LITE;
	if (!inet_is_tcp(e))
		kind |= DATAGRAM;
	return inet_is_connection(e) ? kind : kind | NOT_CONNECTED;
}

static bool applies(const struct row *row, int kind)
{
	int other = row->where & ~ANY;
	/* raw IPv6 sockets have no options of IPv4 */
	if (row->level == IPPROTO_IP && kind & SIX && kind & RAW)
		return false;
	return row->where & kind & ANY && (other & kind) == other;
}

static void read_value(const struct file_view *v, const struct row *row, struct value *ret)
{
	ret->len = (socklen_t)row->len;
	memset(ret->data, 0, sizeof(ret->data));
	if (socket_ask(v, row->level, row->option, ret->data, &ret->len) < 0)
		ret->len = 0;
}

static const struct inet_usual *usual_of(struct file_dump *d, const InetSkEntry *e, int kind)
{
	struct inet_dump *in = inet_dump_of(d);
	vec_for_each (&in->usual, u)
		if ((*u)->family == e->family && (*u)->type == e->type && (*u)->proto == e->proto)
			return *u;
	struct inet_usual *u = arena_new(&d->s->arena, struct inet_usual);
	*u = (struct inet_usual){.family = e->family, .type = e->type, .proto = e->proto};
	_cleanup_close_ int fd = socket((int)e->family, (int)e->type | SOCK_CLOEXEC, (int)e->proto);
	const struct file_view new = {.fd = fd};
	for (size_t i = 0; i < N_ROWS; i++)
		if (applies(&rows[i], kind | NOT_CONNECTED))
			read_value(&new, &rows[i], &u->values[i]);
	*vec_push(&d->s->arena, &in->usual) = u;
	return u;
}

void inet_options_prepare(struct file_dump *d, const InetSkEntry *e)
{
	usual_of(d, e, kind_of(e));
}

static void keep_extras(struct file_dump *d, const struct file_view *v, const InetSkEntry *e,
	struct dumped_file *f, bool silent)
{
	int kind = kind_of(e);
	const struct inet_usual *usual = usual_of(d, e, kind);
	for (size_t i = 0; i < N_ROWS; i++) {
		struct value now;
		const struct value *u = &usual->values[i];
		if (!applies(&rows[i], kind) || (silent && rows[i].in_pktoptions))
			continue;
		read_value(v, &rows[i], &now);
		if (now.len && (now.len != u->len || memcmp(now.data, u->data, now.len) != 0))
			sk_option_keep(d, f, rows[i].level, rows[i].option, now.data, now.len);
	}
}

static void keep_headers(struct file_dump *d, int fd, struct dumped_file *f)
{
	for (size_t i = 0; i < N_HEADERS; i++) {
		char header[HEADER_MAX];
		socklen_t len = sizeof(header);
		if (getsockopt(fd, IPPROTO_IPV6, headers[i], header, &len) == 0 && len)
			sk_option_keep(d, f, IPPROTO_IPV6, headers[i], header, len);
	}
}

/*
 * What the kernel changes by itself as well, so only values that it would hardly come to: the CPU
 * that a listener is for, no new path after a timeout, a window far below the buffer.
 */
static void keep_limits(struct file_dump *d, int fd, const InetSkEntry *e, struct dumped_file *f)
{
	int clamp = 0;
	socklen_t len = sizeof(clamp);
	int cpu = e->state == INET_LISTEN ? socket_int(fd, SO_INCOMING_CPU, -1) : -1;
	if (cpu >= 0)
		sk_option_keep(d, f, SOL_SOCKET, SO_INCOMING_CPU, &cpu, sizeof(cpu));
	int rehash = socket_int(fd, SO_TXREHASH, -1);
	if (rehash == 0)
		sk_option_keep(d, f, SOL_SOCKET, SO_TXREHASH, &rehash, sizeof(rehash));
	if (inet_is_connection(e) &&
		getsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, &len) == 0 &&
		(uint32_t)clamp < e->opts->so_rcvbuf / 4)
		sk_option_keep(d, f, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, sizeof(clamp));
}

void inet_extras_dump(struct file_dump *d, const struct file_view *v, const InetSkEntry *e,
	struct dumped_file *f, bool silent)
{
	keep_extras(d, v, e, f, silent);
	if (e->family == AF_INET6)
		keep_headers(d, v->fd, f);
	if (inet_is_tcp(e))
		keep_limits(d, v->fd, e, f);
}

bool inet_extra_is_kept(int level, int option)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].level == level && rows[i].option == option)
			return true;
	for (size_t i = 0; i < N_HEADERS; i++)
		if (level == IPPROTO_IPV6 && headers[i] == option)
			return true;
	return false;
}

/* --- restore --- */

/* Of the options without a field, those that must come first. */
static bool comes_first(const FermataSocketOption *x)
{
	if (x->level == IPPROTO_IP)
		return x->option == IP_TRANSPARENT || x->option == IP_BIND_ADDRESS_NO_PORT;
	return x->level == IPPROTO_IPV6 && x->option == IPV6_TRANSPARENT;
}

int inet_extras_before(struct file_set *f, const struct open_file *o, int fd)
{
	for (size_t i = 0; o->extra && i < o->extra->n_socket_options; i++) {
		const FermataSocketOption *x = o->extra->socket_options[i];
		if (comes_first(x) && setsockopt(fd, (int)x->level, (int)x->option, x->value.data,
					      (socklen_t)x->value.len) < 0)
			return fail(f->s, errno, "%s: set option %u of level %u",
				open_file_label(f, o), x->option, x->level);
	}
	return 0;
}
