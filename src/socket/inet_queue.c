/*
 * Datagrams that wait in UDP and UDP-Lite sockets: read by recvmsg(MSG_PEEK), put back by
 * inet_inject.c.
 *
 * SO_PEEK_OFF moves from one to the next, and the socket is made to tell of each where it was sent
 * to, its TTL and its TOS. All that is state of the task's socket, and is put back by a child
 * (guard.h) should the controller be killed meanwhile. An empty datagram shows once only, as
 * in unix sockets: inet_empty.h; where that cannot tell and one that was looked at before stands
 * first, it is noticed, and refused.
 *
 * Refused, because a copy would tell something else: sockets that ask for times, marks, IP options
 * of their datagrams; datagrams to several receivers, if the socket can tell that they were; those
 * from or to link-local addresses.  Raw and ping sockets have no SO_PEEK_OFF, so of their queues
 * only the head can be seen; and what is put back there reaches every socket of the protocol, and
 * the kernel itself, which answers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/syscalls.h"
#include "socket/guard.h"
#include "socket/inet_empty.h"

#ifndef SO_RCVMARK /* 5.19 */
#define SO_RCVMARK 75
#endif
#ifndef IPV6_FLOWINFO /* linux/in6.h */
#define IPV6_FLOWINFO 11
#endif
#ifndef SO_RCVPRIORITY /* 6.14 */
#define SO_RCVPRIORITY 82
#endif

enum {
	DATA_ROOM = 128 * 1024, /* of several datagrams that UDP_GRO made one */
	CONTROL_ROOM = 1024,
	N_ASKED = 7,
	TTL_DEFAULT = 64,
};

/* What a socket may ask to be told with each datagram and a copy would not tell the same of. */
static const struct {
	int level, option;
	const char *name;
} untold[] = {
	{SOL_SOCKET, SO_TIMESTAMP_OLD, "SO_TIMESTAMP"},
	{SOL_SOCKET, SO_TIMESTAMP_NEW, "SO_TIMESTAMP"},
	{SOL_SOCKET, SO_TIMESTAMPNS_OLD, "SO_TIMESTAMPNS"},
	{SOL_SOCKET, SO_TIMESTAMPNS_NEW, "SO_TIMESTAMPNS"},
	{SOL_SOCKET, SO_TIMESTAMPING_OLD, "SO_TIMESTAMPING"},
	{SOL_SOCKET, SO_TIMESTAMPING_NEW, "SO_TIMESTAMPING"},
	{SOL_SOCKET, SO_RCVMARK, "SO_RCVMARK"},
	{SOL_SOCKET, SO_RCVPRIORITY, "SO_RCVPRIORITY"},
	{IPPROTO_IP, IP_RECVOPTS, "IP_RECVOPTS"},
	{IPPROTO_IP, IP_RETOPTS, "IP_RETOPTS"},
	{IPPROTO_IP, IP_PASSSEC, "IP_PASSSEC"},
	{IPPROTO_IP, IP_CHECKSUM, "IP_CHECKSUM"},
	{IPPROTO_IP, IP_RECVFRAGSIZE, "IP_RECVFRAGSIZE"},
	{IPPROTO_IPV6, IPV6_FLOWINFO, "IPV6_FLOWINFO"},
	{IPPROTO_IPV6, IPV6_RECVHOPOPTS, "IPV6_RECVHOPOPTS"},
	{IPPROTO_IPV6, IPV6_RECVRTHDR, "IPV6_RECVRTHDR"},
	{IPPROTO_IPV6, IPV6_RECVDSTOPTS, "IPV6_RECVDSTOPTS"},
	{IPPROTO_IPV6, IPV6_RECVFRAGSIZE, "IPV6_RECVFRAGSIZE"},
	{IPPROTO_UDP, UDP_ENCAP, "UDP_ENCAP"},
};

/* Set for the time of the look, on sockets of the family (0: both). */
static const struct {
	int level, option, family, value;
} asked[N_ASKED] = {
	{SOL_SOCKET, SO_PEEK_OFF, 0, 0},
	{IPPROTO_IP, IP_RECVTTL, 0, 1},
	{IPPROTO_IP, IP_RECVTOS, 0, 1},
	{IPPROTO_IP, IP_PKTINFO, AF_INET, 1},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO, AF_INET6, 1}, /* tells also of IPv4 */
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, AF_INET6, 1},
	{IPPROTO_IPV6, IPV6_RECVTCLASS, AF_INET6, 1},
};

struct look {
	struct file_dump *d;
	const struct file_view *v;
	const InetSkEntry *e;
	const char *label;
	int fd;
	int before[N_ASKED];
	bool tells_dest; /* the program asks where datagrams were sent to */
	char *data;
	struct inet_empties empties;
	VEC(FermataDatagram *) all;
};

static bool is_set(int fd, int level, int option)
{
	int value[2] = {0};
	socklen_t len = sizeof(value);
	return getsockopt(fd, level, option, value, &len) == 0 && (value[0] || value[1]);
}

static bool block_untold(const struct look *l)
{
	for (size_t i = 0; i < sizeof(untold) / sizeof(*untold); i++) {
		if ((untold[i].level == IPPROTO_IPV6 && l->e->family != AF_INET6) ||
			(untold[i].level == IPPROTO_UDP && l->e->proto != IPPROTO_UDP) ||
			!is_set(l->fd, untold[i].level, untold[i].option))
			continue;
		view_block(l->d, l->v, "use --skip-in-flight to lose them",
			"%s has datagrams in its queue and %s, which they could not be "
			"put back for",
			l->label, untold[i].name);
		return true;
	}
	return false;
}

/* --- options of the task's socket, for the moment --- */

static bool concerns(const struct look *l, size_t i)
{
	return !asked[i].family || asked[i].family == (int)l->e->family;
}

static void put_back(void *arg)
{
	const struct look *l = arg;
	for (size_t i = 0; i < N_ASKED; i++)
		if (concerns(l, i))
			insist(setsockopt(l->fd, asked[i].level, asked[i].option, &l->before[i],
				sizeof(l->before[i])));
}

static int remember(struct look *l)
{
	bool six = l->e->family == AF_INET6;
	for (size_t i = 0; i < N_ASKED; i++) {
		socklen_t len = sizeof(l->before[i]);
		if (concerns(l, i) &&
			getsockopt(l->fd, asked[i].level, asked[i].option, &l->before[i], &len) < 0)
			return -errno;
	}
	l->tells_dest = is_set(l->fd, IPPROTO_IP, IP_PKTINFO) ||
			is_set(l->fd, IPPROTO_IP, IP_RECVORIGDSTADDR) ||
			(six && (is_set(l->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) ||
					is_set(l->fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR)));
	return 0;
}

static int ask(const struct look *l)
{
	for (size_t i = 0; i < N_ASKED; i++)
		if (concerns(l, i) && setsockopt(l->fd, asked[i].level, asked[i].option,
					      &asked[i].value, sizeof(asked[i].value)) < 0)
			return -errno;
	return 0;
}

/* --- one datagram --- */

static void store_address(struct look *l, ProtobufCBinaryData *ret, const struct in6_addr *six)
{
	bool mapped = IN6_IS_ADDR_V4MAPPED(six);
	ret->len = mapped ? 4 : 16;
	ret->data = arena_memdup(&l->d->s->arena, six->s6_addr + (mapped ? 12 : 0), ret->len);
}

static void store_source(struct look *l, FermataDatagram *g, const struct sockaddr_storage *from)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)from;
	if (from->ss_family == AF_INET6) {
		store_address(l, &g->source, &((const struct sockaddr_in6 *)from)->sin6_addr);
	} else {
		g->source.len = 4;
		g->source.data = arena_memdup(&l->d->s->arena, &four->sin_addr, 4);
	}
	g->source_port = ntohs(four->sin_port); /* at the same place in both */
}

static int cmsg_int(const struct cmsghdr *c)
{
	int value = 0;
	size_t len = c->cmsg_len - CMSG_LEN(0);
	if (len == 1) /* IP_TOS */
		return *(const uint8_t *)CMSG_DATA(c);
	memcpy(&value, CMSG_DATA(c), len < sizeof(value) ? len : sizeof(value));
	return value;
}

static void store_control(struct look *l, FermataDatagram *g, struct msghdr *msg, int *ret_segment)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		int level = c->cmsg_level, type = c->cmsg_type;
		struct in_pktinfo four;
		struct in6_pktinfo six;
		if (level == IPPROTO_IP && type == IP_PKTINFO && l->e->family == AF_INET) {
			memcpy(&four, CMSG_DATA(c), sizeof(four));
			g->dest.len = 4;
			g->dest.data = arena_memdup(&l->d->s->arena, &four.ipi_addr, 4);
		} else if (level == IPPROTO_IPV6 && type == IPV6_PKTINFO) {
			memcpy(&six, CMSG_DATA(c), sizeof(six));
			store_address(l, &g->dest, &six.ipi6_addr);
		} else if ((level == IPPROTO_IP && type == IP_TTL) ||
			   (level == IPPROTO_IPV6 && type == IPV6_HOPLIMIT)) {
			g->ttl = (uint32_t)cmsg_int(c);
		} else if ((level == IPPROTO_IP && type == IP_TOS) ||
			   (level == IPPROTO_IPV6 && type == IPV6_TCLASS)) {
			g->tos = (uint32_t)cmsg_int(c);
		} else if (level == IPPROTO_UDP && type == UDP_GRO) {
			*ret_segment = cmsg_int(c);
		}
	}
}

/* A broadcast or multicast address: what goes there has more receivers. */
static bool is_shared(const ProtobufCBinaryData *address)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(9)};
	if (address->len == 16)
		return address->data[0] == 0xff;
	memcpy(&name.sin_addr, address->data, 4);
	if (IN_MULTICAST(ntohl(name.sin_addr.s_addr)))
		return true;
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0 && errno == EACCES;
}

static bool is_link_local(const ProtobufCBinaryData *address)
{
	return address->len == 16 && address->data[0] == 0xfe && (address->data[1] & 0xc0) == 0x80;
}

static bool is_bound(const InetSkEntry *e)
{
	for (size_t i = 0; i < e->n_src_addr; i++)
		if (e->src_addr[i])
			return true;
	return false;
}

/* Whether it can be put back; the destination is dropped if the program cannot know it. */
static bool block_datagram(struct look *l, FermataDatagram *g, bool cut)
{
	const char *what = NULL;
	bool shared = is_shared(&g->dest);
	if (cut)
		what = "larger than can be looked at";
	else if (shared && (l->tells_dest || is_bound(l->e)))
		what = "that was sent to several receivers";
	else if (is_link_local(&g->source) || is_link_local(&g->dest))
		what = "from a link-local address";
	if (what)
		view_block(l->d, l->v, "use --skip-in-flight to lose it",
			"%s has a datagram in its queue %s, which cannot be put back", l->label,
			what);
	g->has_dest = !shared;
	return what;
}

static void keep(struct look *l, const FermataDatagram *g, size_t len, size_t segment)
{
	size_t at = 0;
	do { /* what UDP_GRO put together comes apart again */
		FermataDatagram *copy = arena_memdup(&l->d->s->arena, g, sizeof(*g));
		copy->data.len = len - at < segment ? len - at : segment;
		copy->data.data = arena_memdup(&l->d->s->arena, l->data + at, copy->data.len);
		*vec_push(&l->d->s->arena, &l->all) = copy;
		at += copy->data.len;
	} while (at < len);
}

/* Those that come before the next one with anything in it. Whether none is blocked. */
static bool keep_empties(struct look *l)
{
	FermataDatagram g;
	while (inet_empties_take(&l->d->s->arena, &l->empties, &g)) {
		if (block_datagram(l, &g, /* cut= */ false))
			return false;
		keep(l, &g, 0, DATA_ROOM);
	}
	return true;
}

/* 1: one more, 0: that was all, or it is blocked; or -errno */
static int look_at_next(struct look *l)
{
	char control[CONTROL_ROOM] __attribute__((aligned(8)));
	struct sockaddr_storage from = {0};
	struct iovec iov = {l->data, DATA_ROOM};
	struct msghdr msg = {.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	FermataDatagram g;
	int segment = DATA_ROOM;
	ssize_t n = recvmsg(l->fd, &msg, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		return -errno;
	if (!n && l->empties.next < l->empties.all.n)
		return 1;
	if (!keep_empties(l) || n < 0)
		return 0;
	if (!inet_empties_pass(&l->empties, (size_t)n))
		return -EAGAIN;
	fermata_datagram__init(&g);
	g.ttl = TTL_DEFAULT;
	store_source(l, &g, &from);
	store_control(l, &g, &msg, &segment);
	if (!g.dest.len || segment <= 0)
		return -EBADMSG;
	if (block_datagram(l, &g, msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 0;
	keep(l, &g, (size_t)n, (size_t)segment);
	return 1;
}

/* An empty datagram that a look does not show any more, because there was one before. */
static void check_hidden(const struct look *l)
{
	char byte;
	bool shown = l->empties.sockets || (l->all.n && !l->all.v[0]->data.len);
	if (!shown && l->before[0] < 0 &&
		recv(l->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC) == 0)
		view_block(l->d, l->v, "use --skip-in-flight to lose it",
			"%s has an empty datagram in its queue that was looked at before",
			l->label);
}

static int walk(struct look *l)
{
	struct guard guard = {0};
	int r = remember(l);
	if (r < 0)
		return fail(l->d->s, r, "pid %d %s: read its options", l->v->from.task->vpid,
			view_label(l->d, l->v));
	const struct guard_duty duty = {
		.alive = l->v->from.task->pid, .rescue = put_back, .arg = l};
	r = guard_start(l->d->s, &guard, &duty);
	if (r < 0)
		return r;
	r = ask(l);
	if (r >= 0)
		do
			r = look_at_next(l);
		while (r > 0);
	put_back(l);
	guard_dismiss(&guard);
	if (r < 0)
		return fail(l->d->s, r, "pid %d %s: look into its queue", l->v->from.task->vpid,
			view_label(l->d, l->v));
	check_hidden(l);
	return 0;
}

int inet_queue_dump(struct file_dump *d, const struct file_view *v, const InetSkEntry *e,
	const char *label, struct dumped_file *f)
{
	struct look l = {.d = d, .v = v, .e = e, .label = label, .fd = v->fd};
	if (block_untold(&l))
		return 0;
	_cleanup_free_ char *data = malloc(DATA_ROOM);
	l.data = data;
	inet_empties_list(d, v->fd, &l.empties);
	int r = data ? walk(&l) : fail(d->s, ENOMEM, "look into a queue");
	if (r < 0 || !l.all.n)
		return r;
	FermataFileEntry *x = file_extra_make(d, f);
	x->datagrams = l.all.v;
	x->n_datagrams = l.all.n;
	for (size_t i = 0; i < l.all.n; i++)
		d->predicted += l.all.v[i]->data.len;
	return 0;
}
