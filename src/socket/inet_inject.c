/*
 * Putting datagrams back into the queues of UDP and UDP-Lite sockets (read by inet_queue.c).
 *
 * Each is sent from a raw socket that carries the sender's address (IP_TRANSPARENT), to a local
 * address, so it goes over loopback straight into the kernel's receiving side: source, TTL and TOS
 * are those of the image, and so is the interface, which the kernel takes from the destination.
 * So that no other socket of the same port gets it, the socket is connected to the sender for that
 * moment.  An IPv6 socket does not forget a peer when it is disconnected, and would take nothing
 * from others; if it is not to have one, it gets its datagrams before bind(2), at a port of its own
 * (which only IPV6_RECVORIGDSTADDR shows).
 * All this happens before what narrows the socket: peer, filters, buffers, shutdown.
 * Raw and packet sockets are made afterwards, or they would see it.
 *
 * That it arrived is seen by an edge of epoll; if it does not, a filter of the machine dropped
 * it, and the restore fails: --skip-in-flight at the dump is the way out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "socket/inet.h"

enum {
	PATIENCE_MS = 3000,
	DATAGRAM_MAX = 65535,
};

struct injection {
	struct file_set *f;
	const struct open_file *o;
	int epoll;
	int raw[2];    /* IPv4, IPv6; -1: not needed yet */
	uint16_t port; /* the socket's own for now, as in packets */
	char *packet;
};

int inet_queue_check(struct file_set *f, const struct open_file *o)
{
	const FermataFileEntry *x = o->extra;
	const InetSkEntry *e = o->e->isk;
	for (size_t i = 0; x && i < x->n_datagrams; i++) {
		const FermataDatagram *g = x->datagrams[i];
		size_t len = g->source.len;
		if ((e->proto != IPPROTO_UDP && e->proto != IPPROTO_UDPLITE) ||
			(len != 4 && (len != 16 || e->family != AF_INET6)) ||
			(g->has_dest && g->dest.len != len) || g->source_port > UINT16_MAX ||
			g->data.len > DATAGRAM_MAX || g->ttl > UINT8_MAX || g->tos > UINT8_MAX)
			return fail(f->s, EBADMSG, "%s: datagram %zu of its queue is not sane",
				open_file_label(f, o), i);
	}
	return 0;
}

/* --- addresses --- */

/* As the socket itself would have it: IPv4 is mapped in an IPv6 socket. */
static socklen_t name_of(const InetSkEntry *e, const ProtobufCBinaryData *a, unsigned port,
	struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)e->family;
	four->sin_port = htons((uint16_t)port); /* at the same place in both */
	if (e->family == AF_INET) {
		memcpy(&four->sin_addr, a->data, 4);
		return sizeof(*four);
	}
	if (a->len == 4)
		memset(six->sin6_addr.s6_addr + 10, 0xff, 2);
	memcpy(six->sin6_addr.s6_addr + 16 - a->len, a->data, a->len);
	return sizeof(*six);
}

/* The last len bytes of the address that the socket has now. */
static bool own_address(int fd, size_t len, uint8_t *ret)
{
	struct sockaddr_storage name = {0};
	socklen_t name_len = sizeof(name);
	static const uint8_t none[16];
	if (getsockname(fd, (struct sockaddr *)&name, &name_len) < 0)
		return false;
	if (name.ss_family == AF_INET)
		memcpy(ret, &((const struct sockaddr_in *)&name)->sin_addr, 4);
	else
		memcpy(ret, ((const struct sockaddr_in6 *)&name)->sin6_addr.s6_addr + 16 - len,
			len);
	return memcmp(ret, none, len) != 0;
}

static void disconnect(int fd)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	connect(fd, &none, sizeof(none));
}

/*
 * Connects the socket to the sender if it can be reached from the address the datagram was sent
 * to, and tells that address.
 */
static void aim(const struct injection *in, const FermataDatagram *g, uint8_t *ret_dest)
{
	static const uint8_t loopback4[4] = {127, 0, 0, 1}, loopback6[16] = {[15] = 1};
	struct sockaddr_storage from;
	size_t size = g->source.len;
	socklen_t len = name_of(in->o->e->isk, &g->source, g->source_port, &from);
	bool aimed = !inet_queue_comes_first(in->o) &&
		     connect(in->o->fd, (struct sockaddr *)&from, len) == 0;
	bool known = own_address(in->o->fd, size, ret_dest);
	if (aimed && g->has_dest && memcmp(ret_dest, g->dest.data, size) != 0)
		disconnect(in->o->fd);
	if (g->has_dest)
		memcpy(ret_dest, g->dest.data, size);
	else if (!known)
		memcpy(ret_dest, size == 4 ? loopback4 : loopback6, size);
}

/* --- the packet --- */

static uint32_t add_words(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i;
	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return i < len ? sum + ((uint32_t)p[i] << 8) : sum;
}

/* Header and data; returns the length. */
static size_t build(const struct injection *in, const FermataDatagram *g, const uint8_t *dest)
{
	const InetSkEntry *e = in->o->e->isk;
	size_t len = sizeof(struct udphdr) + g->data.len;
	bool lite = e->proto == IPPROTO_UDPLITE;
	struct udphdr head = {
		.source = htons((uint16_t)g->source_port),
		.dest = in->port,
		.len = lite ? 0 : htons((uint16_t)len), /* 0: the checksum covers all */
	};
	memcpy(in->packet, &head, sizeof(head));
	if (g->data.len)
		memcpy(in->packet + sizeof(head), g->data.data, g->data.len);
	uint32_t sum = e->proto + (uint32_t)len; /* the pseudo header */
	sum = add_words(sum, g->source.data, g->source.len);
	sum = add_words(sum, dest, g->source.len);
	sum = add_words(sum, in->packet, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	head.check = htons((uint16_t)(sum == 0xffff ? sum : ~sum));
	memcpy(in->packet, &head, sizeof(head));
	return len;
}

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* A socket that sends as it is told and receives nothing. */
static int open_raw(bool six, int protocol)
{
	struct sock_filter drop_all = {.code = BPF_RET | BPF_K};
	const struct sock_fprog filter = {.len = 1, .filter = &drop_all};
	_cleanup_close_ int fd =
		socket(six ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		return -errno;
	int r = six ? set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
		    : set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	if (r >= 0)
		r = six ? set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
			: set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	return r < 0 ? r : take_fd(&fd);
}

static socklen_t raw_name(const uint8_t *address, size_t size, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (size == 4) {
		ret->ss_family = AF_INET;
		memcpy(&((struct sockaddr_in *)ret)->sin_addr, address, size);
		return sizeof(struct sockaddr_in);
	}
	ret->ss_family = AF_INET6;
	memcpy(&((struct sockaddr_in6 *)ret)->sin6_addr, address, size);
	return sizeof(struct sockaddr_in6);
}

static int send_as(struct injection *in, const FermataDatagram *g, const uint8_t *dest)
{
	bool six = g->source.len == 16;
	struct sockaddr_storage from, to;
	int *fd = &in->raw[six];
	if (*fd < 0)
		*fd = open_raw(six, (int)in->o->e->isk->proto);
	if (*fd < 0)
		return *fd;
	size_t len = build(in, g, dest);
	socklen_t name_len = raw_name(g->source.data, g->source.len, &from);
	raw_name(dest, g->source.len, &to);
	int ttl = g->ttl ? (int)g->ttl : 1;
	int r = six ? set(*fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl)
		    : set(*fd, IPPROTO_IP, IP_TTL, ttl);
	if (r >= 0)
		r = six ? set(*fd, IPPROTO_IPV6, IPV6_TCLASS, (int)g->tos)
			: set(*fd, IPPROTO_IP, IP_TOS, (int)g->tos);
	if (r >= 0 &&
		(bind(*fd, (struct sockaddr *)&from, name_len) < 0 ||
			sendto(*fd, in->packet, len, 0, (struct sockaddr *)&to, name_len) < 0))
		r = -errno;
	return r;
}

/* --- */

static int inject(struct injection *in, const FermataDatagram *g)
{
	struct epoll_event event;
	uint8_t dest[16];
	/* edges of what came by itself meanwhile */
	while (epoll_wait(in->epoll, &event, 1, 0) > 0)
		;
	aim(in, g, dest);
	int r = send_as(in, g, dest), n = 0;
	if (r >= 0)
		do
			n = epoll_wait(in->epoll, &event, 1, PATIENCE_MS);
		while (n < 0 && errno == EINTR);
	if (!inet_queue_comes_first(in->o))
		disconnect(in->o->fd);
	if (r >= 0 && n == 0)
		r = -ETIMEDOUT;
	if (r < 0)
		return fail_remedy(in->f->s, r, "dump with --skip-in-flight to lose it",
			"%s: put a datagram of %zu bytes back into the queue of the UDP socket %s",
			open_file_label(in->f, in->o), g->data.len,
			inet_label(in->f->s, in->o->e->isk, false));
	return 0;
}

/*
 * One without a port (the end of a connection took it, connect(2) with AF_UNSPEC) has one until it
 * is disconnected again.
 */
static int own_port(int fd, int family, uint16_t *ret)
{
	struct sockaddr_storage name = {.ss_family = (sa_family_t)family};
	const struct sockaddr_in *four = (const struct sockaddr_in *)&name;
	socklen_t size = family == AF_INET ? sizeof(*four) : sizeof(struct sockaddr_in6);
	socklen_t len = sizeof(name);
	int r = getsockname(fd, (struct sockaddr *)&name, &len);
	if (r == 0 && !four->sin_port) {
		len = sizeof(name);
		r = bind(fd, (struct sockaddr *)&name, size);
		if (r == 0)
			r = getsockname(fd, (struct sockaddr *)&name, &len);
	}
	*ret = four->sin_port;
	return r < 0 ? -errno : 0;
}

static int inject_all(struct injection *in)
{
	const struct open_file *o = in->o;
	bool six = o->e->isk->family == AF_INET6;
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int r = sk_opts_widen(o->fd);
	if (r >= 0)
		r = own_port(o->fd, (int)o->e->isk->family, &in->port);
	if (r >= 0) /* else the kernel forgets the interface that a datagram came by */
		r = six ? set(o->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
			: set(o->fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (r >= 0 && epoll_ctl(in->epoll, EPOLL_CTL_ADD, o->fd, &event) < 0)
		r = -errno;
	if (r < 0)
		return fail(in->f->s, r, "%s: prepare its queue", open_file_label(in->f, o));
	for (size_t i = 0; i < o->extra->n_datagrams && r >= 0; i++)
		r = inject(in, o->extra->datagrams[i]);
	if (six)
		set(o->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 0);
	else
		set(o->fd, IPPROTO_IP, IP_PKTINFO, 0);
	return r;
}

bool inet_queue_comes_first(const struct open_file *o)
{
	const InetSkEntry *e = o->e->isk;
	return o->extra && o->extra->n_datagrams && e->family == AF_INET6 && !inet_has_peer(e);
}

/* To be bound again, as it was: its port is given up by an end of a connection that never was. */
int inet_queue_feed_first(struct file_set *f, struct open_file *o)
{
	struct sockaddr_storage name;
	socklen_t len = inet_name(o->e->isk, /* remote= */ false, &name);
	((struct sockaddr_in6 *)&name)->sin6_port = 0;
	if (bind(o->fd, (struct sockaddr *)&name, len) < 0)
		return fail(f->s, errno, "%s: bind it to receive its queue", open_file_label(f, o));
	int r = inet_queue_feed(f, o);
	disconnect(o->fd);
	return r;
}

int inet_queue_feed(struct file_set *f, struct open_file *o)
{
	if (!o->extra || !o->extra->n_datagrams)
		return 0;
	_cleanup_free_ char *packet = malloc(sizeof(struct udphdr) + DATAGRAM_MAX);
	_cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct injection in = {.f = f, .o = o, .epoll = epoll, .raw = {-1, -1}, .packet = packet};
	if (!packet || epoll < 0)
		return fail(f->s, packet ? errno : ENOMEM, "%s: prepare its queue",
			open_file_label(f, o));
	int r = inject_all(&in);
	for (int i = 0; i < 2; i++)
		cleanup_close(&in.raw[i]);
	return r;
}
