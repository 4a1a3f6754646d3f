/*
 * Options of inet sockets below and above SOL_SOCKET that the image has fields for; the many others
 * are in inet_extras.c.  What bind(2) and connect(2) depend on is set before them, all the rest at
 * the end.
 *
 * tests/unit/test_socket_options.c lists all there are, and why some are not kept.
 */
#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "socket/inet.h"
#include "socket/multicast.h"

#ifndef SO_TXREHASH /* 5.18 */
#define SO_TXREHASH 74
#endif

/* --- dump --- */

static uint32_t ask_int(const struct file_view *v, int level, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);
	return socket_ask(v, level, option, &value, &len) < 0 || value < 0 ? 0 : (uint32_t)value;
}

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

static void read_raw(
	struct file_dump *d, const struct file_view *v, const InetSkEntry *e, IpOptsEntry *o)
{
	IpOptsRawEntry *raw = o->raw = arena_new(&d->s->arena, IpOptsRawEntry);
	ip_opts_raw_entry__init(raw);
	bool six = e->family == AF_INET6;
	uint32_t filter[8] = {0};
	socklen_t len = six ? sizeof(filter) : sizeof(filter[0]);
	STORE(raw, hdrincl,
		ask_int(v, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_HDRINCL : IP_HDRINCL));
	if (!six)
		STORE(raw, nodefrag, ask_int(v, IPPROTO_IP, IP_NODEFRAG));
	if (six ? e->proto != IPPROTO_ICMPV6 : e->proto != IPPROTO_ICMP)
		return;
	/* NOLINTNEXTLINE(bugprone-branch-clone): both are 1 */
	int option = six ? ICMPV6_FILTER : ICMP_FILTER;
	if (getsockopt(v->fd, six ? (int)IPPROTO_ICMPV6 : SOL_RAW, option, filter, &len) == 0) {
		raw->n_icmpv_filter = len / sizeof(filter[0]);
		raw->icmpv_filter = arena_memdup(&d->s->arena, filter, len);
	}
}

/*
 * Whether IP_PKTINFO, IP_RECVTTL and IP_RECVTOS are off: IP_PKTOPTIONS of TCP has a message for
 * each of the three that is on.
 */
static bool has_no_pktoptions(const struct file_view *v, const InetSkEntry *e)
{
	char room[256];
	socklen_t len = sizeof(room);
	return inet_is_tcp(e) && getsockopt(v->fd, IPPROTO_IP, IP_PKTOPTIONS, room, &len) == 0 &&
	       !len;
}

static void read_ip(struct file_dump *d, const struct file_view *v, InetSkEntry *e, bool silent)
{
	IpOptsEntry *o = e->ip_opts = arena_new(&d->s->arena, IpOptsEntry);
	ip_opts_entry__init(o);
	if (e->family == AF_INET) {
		STORE(o, freebind, ask_int(v, IPPROTO_IP, IP_FREEBIND));
		STORE(o, pktinfo, silent ? 0 : ask_int(v, IPPROTO_IP, IP_PKTINFO));
		STORE(o, tos, ask_int(v, IPPROTO_IP, IP_TOS));
		STORE(o, ttl, ask_int(v, IPPROTO_IP, IP_TTL));
	} else {
		STORE(o, freebind, ask_int(v, IPPROTO_IPV6, IPV6_FREEBIND));
		STORE(o, pktinfo, ask_int(v, IPPROTO_IPV6, IPV6_RECVPKTINFO));
	}
	if (e->type == SOCK_RAW)
		read_raw(d, v, e, o);
}

static void read_tcp(struct file_dump *d, const struct file_view *v, InetSkEntry *e)
{
	TcpOptsEntry *o = e->tcp_opts = arena_new(&d->s->arena, TcpOptsEntry);
	tcp_opts_entry__init(o);
	if (!inet_is_tcp(e))
		return;
	STORE(o, cork, ask_int(v, IPPROTO_TCP, TCP_CORK));
	STORE(o, nodelay, ask_int(v, IPPROTO_TCP, TCP_NODELAY));
	STORE(o, keepcnt, ask_int(v, IPPROTO_TCP, TCP_KEEPCNT));
	STORE(o, keepidle, ask_int(v, IPPROTO_TCP, TCP_KEEPIDLE));
	STORE(o, keepintvl, ask_int(v, IPPROTO_TCP, TCP_KEEPINTVL));
}

void inet_options_dump(
	struct file_dump *d, const struct file_view *v, InetSkEntry *e, struct dumped_file *f)
{
	bool silent = has_no_pktoptions(v, e);
	read_ip(d, v, e, silent);
	read_tcp(d, v, e);
	inet_extras_dump(d, v, e, f, silent);
	if (e->type != SOCK_STREAM)
		multicast_dump(d, v->fd, e, f);
}

bool inet_option_is_kept(int level, int option)
{
	static const int fields[][2] = {{IPPROTO_IP, IP_FREEBIND}, {IPPROTO_IP, IP_PKTINFO},
		{IPPROTO_IP, IP_TOS}, {IPPROTO_IP, IP_TTL}, {IPPROTO_IP, IP_HDRINCL},
		{IPPROTO_IP, IP_NODEFRAG}, {IPPROTO_IPV6, IPV6_FREEBIND},
		{IPPROTO_IPV6, IPV6_RECVPKTINFO}, {IPPROTO_IPV6, IPV6_HDRINCL},
		{IPPROTO_IPV6, IPV6_V6ONLY}, {SOL_RAW, ICMP_FILTER},
		{IPPROTO_ICMPV6, ICMPV6_FILTER}, {IPPROTO_TCP, TCP_CORK},
		{IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_KEEPCNT}, {IPPROTO_TCP, TCP_KEEPIDLE},
		{IPPROTO_TCP, TCP_KEEPINTVL}, {SOL_SOCKET, SO_INCOMING_CPU},
		{SOL_SOCKET, SO_TXREHASH}, {SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF}};
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (fields[i][0] == level && fields[i][1] == option)
			return true;
	return inet_extra_is_kept(level, option);
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
	return r < 0 ? r : inet_extras_before(f, o, fd);
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
	/* NOLINTNEXTLINE(bugprone-branch-clone): both are 1 */
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
		r = reuseport_restore(f, o, fd);
	if (r >= 0)
		r = sk_opts_restore(f, o, o->e->isk->opts, fd);
	return r < 0 ? r : set_tcp(f, o, fd);
}
