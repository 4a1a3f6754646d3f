/*
 * Options of inet sockets below and above SOL_SOCKET: ip(7), ipv6(7), raw(7), tcp(7), udp(7).
 *
 * The image has fields for a few; of all others in the table those that differ from a new
 * socket of the same kind (which is made to ask it) go to fermata-files.img.  What bind(2) and
 * connect(2) depend on is set before them, all the rest at the end by sk_opts_restore().
 *
 * tests/unit/test_socket_options.c lists all there are, and why some are not kept.
 */
#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <string.h>

#include "socket/inet.h"
#include "socket/multicast.h"

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
} rows[] = {
	{IPPROTO_IP, IP_OPTIONS, ANY, 40},
	{IPPROTO_IP, IP_RECVOPTS, ANY, 4},
	{IPPROTO_IP, IP_RETOPTS, ANY, 4},
	{IPPROTO_IP, IP_MTU_DISCOVER, ANY, 4},
	{IPPROTO_IP, IP_RECVERR, ANY, 4},
	{IPPROTO_IP, IP_RECVTTL, ANY, 4},
	{IPPROTO_IP, IP_RECVTOS, ANY, 4},
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
	{IPPROTO_IP, IP_PKTINFO, SIX, 4},
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

static void read_value(int fd, const struct row *row, struct value *ret)
{
	ret->len = (socklen_t)row->len;
	memset(ret->data, 0, sizeof(ret->data));
	if (getsockopt(fd, row->level, row->option, ret->data, &ret->len) < 0)
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
	for (size_t i = 0; i < N_ROWS; i++)
		if (applies(&rows[i], kind | NOT_CONNECTED))
			read_value(fd, &rows[i], &u->values[i]);
	*vec_push(&d->s->arena, &in->usual) = u;
	return u;
}

void inet_options_prepare(struct file_dump *d, const InetSkEntry *e)
{
	usual_of(d, e, kind_of(e));
}

static void keep_extras(struct file_dump *d, int fd, const InetSkEntry *e, struct dumped_file *f)
{
	int kind = kind_of(e);
	const struct inet_usual *usual = usual_of(d, e, kind);
	for (size_t i = 0; i < N_ROWS; i++) {
		struct value v;
		const struct value *u = &usual->values[i];
		if (!applies(&rows[i], kind))
			continue;
		read_value(fd, &rows[i], &v);
		if (v.len && (v.len != u->len || memcmp(v.data, u->data, v.len) != 0))
			sk_option_keep(d, f, rows[i].level, rows[i].option, v.data, v.len);
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
	int cpu = socket_int(fd, SO_INCOMING_CPU, -1), clamp = 0;
	socklen_t len = sizeof(clamp);
	if (e->state == INET_LISTEN && cpu >= 0)
		sk_option_keep(d, f, SOL_SOCKET, SO_INCOMING_CPU, &cpu, sizeof(cpu));
	int rehash = socket_int(fd, SO_TXREHASH, -1);
	if (rehash == 0)
		sk_option_keep(d, f, SOL_SOCKET, SO_TXREHASH, &rehash, sizeof(rehash));
	if (inet_is_connection(e) &&
		getsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, &len) == 0 &&
		(uint32_t)clamp < e->opts->so_rcvbuf / 4)
		sk_option_keep(d, f, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, sizeof(clamp));
}

/* --- what the image has fields for --- */

static uint32_t get_int(int fd, int level, int option)
{
	int v = 0;
	socklen_t len = sizeof(v);
	return getsockopt(fd, level, option, &v, &len) < 0 || v < 0 ? 0 : (uint32_t)v;
}

#define STORE(e, field, value)              \
	do {                                \
		uint32_t v_ = (value);      \
		(e)->has_##field = v_ != 0; \
		(e)->field = v_;            \
	} while (0)

static void read_raw(struct file_dump *d, int fd, const InetSkEntry *e, IpOptsEntry *o)
{
	IpOptsRawEntry *raw = o->raw = arena_new(&d->s->arena, IpOptsRawEntry);
	ip_opts_raw_entry__init(raw);
	bool six = e->family == AF_INET6;
	uint32_t filter[8] = {0};
	socklen_t len = six ? sizeof(filter) : sizeof(filter[0]);
	STORE(raw, hdrincl,
		get_int(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_HDRINCL : IP_HDRINCL));
	if (!six)
		STORE(raw, nodefrag, get_int(fd, IPPROTO_IP, IP_NODEFRAG));
	if (six ? e->proto != IPPROTO_ICMPV6 : e->proto != IPPROTO_ICMP)
		return;
	if (getsockopt(fd, six ? (int)IPPROTO_ICMPV6 : SOL_RAW, six ? ICMPV6_FILTER : ICMP_FILTER,
		    filter, &len) == 0) {
		raw->n_icmpv_filter = len / sizeof(filter[0]);
		raw->icmpv_filter = arena_memdup(&d->s->arena, filter, len);
	}
}

static void read_ip(struct file_dump *d, int fd, InetSkEntry *e)
{
	IpOptsEntry *o = e->ip_opts = arena_new(&d->s->arena, IpOptsEntry);
	ip_opts_entry__init(o);
	if (e->family == AF_INET) {
		STORE(o, freebind, get_int(fd, IPPROTO_IP, IP_FREEBIND));
		STORE(o, pktinfo, get_int(fd, IPPROTO_IP, IP_PKTINFO));
		STORE(o, tos, get_int(fd, IPPROTO_IP, IP_TOS));
		STORE(o, ttl, get_int(fd, IPPROTO_IP, IP_TTL));
	} else {
		STORE(o, freebind, get_int(fd, IPPROTO_IPV6, IPV6_FREEBIND));
		STORE(o, pktinfo, get_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO));
	}
	if (e->type == SOCK_RAW)
		read_raw(d, fd, e, o);
}

static void read_tcp(struct file_dump *d, int fd, InetSkEntry *e)
{
	TcpOptsEntry *o = e->tcp_opts = arena_new(&d->s->arena, TcpOptsEntry);
	tcp_opts_entry__init(o);
	if (!inet_is_tcp(e))
		return;
	STORE(o, cork, get_int(fd, IPPROTO_TCP, TCP_CORK));
	STORE(o, nodelay, get_int(fd, IPPROTO_TCP, TCP_NODELAY));
	STORE(o, keepcnt, get_int(fd, IPPROTO_TCP, TCP_KEEPCNT));
	STORE(o, keepidle, get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE));
	STORE(o, keepintvl, get_int(fd, IPPROTO_TCP, TCP_KEEPINTVL));
}

void inet_options_dump(struct file_dump *d, int fd, InetSkEntry *e, struct dumped_file *f)
{
	read_ip(d, fd, e);
	read_tcp(d, fd, e);
	keep_extras(d, fd, e, f);
	if (e->family == AF_INET6)
		keep_headers(d, fd, f);
	if (inet_is_tcp(e))
		keep_limits(d, fd, e, f);
	if (e->type != SOCK_STREAM)
		multicast_dump(d, fd, e, f);
}

bool inet_option_is_kept(int level, int option)
{
	static const int fields[][2] = {{IPPROTO_IP, IP_FREEBIND}, {IPPROTO_IP, IP_PKTINFO},
		{IPPROTO_IP, IP_TOS}, {IPPROTO_IP, IP_TTL}, {IPPROTO_IP, IP_HDRINCL},
		{IPPROTO_IP, IP_NODEFRAG}, {IPPROTO_IPV6, IPV6_FREEBIND},
		{IPPROTO_IPV6, IPV6_RECVPKTINFO}, {IPPROTO_IPV6, IPV6_HDRINCL},
		{IPPROTO_IPV6, IPV6_V6ONLY}, {SOL_RAW, ICMP_FILTER},
		{IPPROTO_ICMPV6, ICMPV6_FILTER}, {IPPROTO_TCP, TCP_CORK},
		{IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_KEEPCNT},
		{IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPINTVL},
		{SOL_SOCKET, SO_INCOMING_CPU}, {SOL_SOCKET, SO_TXREHASH}};
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (fields[i][0] == level && fields[i][1] == option)
			return true;
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].level == level && rows[i].option == option)
			return true;
	for (size_t i = 0; i < N_HEADERS; i++)
		if (level == IPPROTO_IPV6 && headers[i] == option)
			return true;
	return false;
}

/* --- restore --- */

static int set_int(struct file_set *f, const struct open_file *o, int fd, int level, int option,
	const char *name, uint32_t value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) == 0)
		return 0;
	return fail(f->s, errno, "%s: set %s to %u", open_file_label(f, o), name, value);
}

/* Setting what is in force anyway would pin it against changes of the system's defaults. */
static int set_if_other(struct file_set *f, const struct open_file *o, int fd, int level,
	int option, const char *name, uint32_t value)
{
	return get_int(fd, level, option) == value ? 0
						   : set_int(f, o, fd, level, option, name, value);
}

/* Of the options without a field, those that must come first. */
static bool comes_first(const FermataSocketOption *x)
{
	if (x->level == IPPROTO_IP)
		return x->option == IP_TRANSPARENT || x->option == IP_BIND_ADDRESS_NO_PORT;
	return x->level == IPPROTO_IPV6 && x->option == IPV6_TRANSPARENT;
}

static int set_first_extras(struct file_set *f, const struct open_file *o, int fd)
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

static int bind_to_device(struct file_set *f, const struct open_file *o, int fd)
{
	const InetSkEntry *e = o->e->isk;
	const char *dev = e->opts->so_bound_dev;
	/* packets that restore() lets a connection receive come from another interface */
	if (!dev || !dev[0] || inet_is_connection(e))
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, (socklen_t)strlen(dev) + 1) < 0)
		return fail(
			f->s, errno, "%s: bind it to the interface %s", open_file_label(f, o), dev);
	return 0;
}

int inet_options_before(struct file_set *f, const struct open_file *o, int fd)
{
	const InetSkEntry *e = o->e->isk;
	bool six = e->family == AF_INET6;
	int r = 0;
	if (six && e->has_v6only && e->v6only)
		r = set_int(f, o, fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", 1);
	if (r >= 0 && e->ip_opts && e->ip_opts->freebind)
		r = set_int(f, o, fd, six ? IPPROTO_IPV6 : IPPROTO_IP,
			six ? IPV6_FREEBIND : IP_FREEBIND, "freebind", 1);
	if (r >= 0 && e->opts->has_so_mark && e->opts->so_mark)
		r = set_int(f, o, fd, SOL_SOCKET, SO_MARK, "SO_MARK", e->opts->so_mark);
	if (r >= 0)
		r = bind_to_device(f, o, fd);
	return r < 0 ? r : set_first_extras(f, o, fd);
}

static int set_raw(struct file_set *f, const struct open_file *o, int fd)
{
	const InetSkEntry *e = o->e->isk;
	const IpOptsRawEntry *raw = e->ip_opts->raw;
	bool six = e->family == AF_INET6;
	int r = set_if_other(f, o, fd, six ? IPPROTO_IPV6 : IPPROTO_IP,
		six ? IPV6_HDRINCL : IP_HDRINCL, "IP_HDRINCL", raw->hdrincl);
	if (r >= 0 && raw->nodefrag)
		r = set_int(f, o, fd, IPPROTO_IP, IP_NODEFRAG, "IP_NODEFRAG", 1);
	if (r < 0 || !raw->n_icmpv_filter)
		return r;
	if (setsockopt(fd, six ? (int)IPPROTO_ICMPV6 : SOL_RAW, six ? ICMPV6_FILTER : ICMP_FILTER,
		    raw->icmpv_filter, (socklen_t)(raw->n_icmpv_filter * 4)) < 0)
		r = fail(f->s, errno, "%s: set the ICMP filter", open_file_label(f, o));
	return r;
}

static int set_ip(struct file_set *f, const struct open_file *o, int fd)
{
	const InetSkEntry *e = o->e->isk;
	const IpOptsEntry *ip = e->ip_opts;
	int r = 0;
	if (!ip)
		return 0;
	if (ip->pktinfo)
		r = e->family == AF_INET
			    ? set_int(f, o, fd, IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO", 1)
			    : set_int(f, o, fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO",
				      1);
	if (r >= 0 && ip->has_tos)
		r = set_if_other(f, o, fd, IPPROTO_IP, IP_TOS, "IP_TOS", ip->tos);
	if (r >= 0 && ip->has_ttl)
		r = set_if_other(f, o, fd, IPPROTO_IP, IP_TTL, "IP_TTL", ip->ttl);
	return r >= 0 && ip->raw && e->type == SOCK_RAW ? set_raw(f, o, fd) : r;
}

/* Cork last: the kernel must not hold back what the options before may push out. */
static int set_tcp(struct file_set *f, const struct open_file *o, int fd)
{
	const TcpOptsEntry *t = o->e->isk->tcp_opts;
	int r = 0;
	if (!t || !inet_is_tcp(o->e->isk))
		return 0;
	if (t->has_keepcnt)
		r = set_if_other(f, o, fd, IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT", t->keepcnt);
	if (r >= 0 && t->has_keepidle)
		r = set_if_other(f, o, fd, IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE", t->keepidle);
	if (r >= 0 && t->has_keepintvl)
		r = set_if_other(
			f, o, fd, IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL", t->keepintvl);
	if (r >= 0 && t->nodelay)
		r = set_int(f, o, fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", 1);
	if (r >= 0 && t->cork)
		r = set_int(f, o, fd, IPPROTO_TCP, TCP_CORK, "TCP_CORK", 1);
	return r;
}

int inet_options_after(struct file_set *f, const struct open_file *o, int fd)
{
	int r = set_ip(f, o, fd);
	if (r >= 0)
		r = sk_opts_restore(f, o, o->e->isk->opts, fd);
	return r < 0 ? r : set_tcp(f, o, fd);
}
