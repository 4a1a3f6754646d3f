/*
 * IPv4 and IPv6 sockets: TCP, UDP, UDP-Lite, raw, ping.
 *
 * Read on the controller's copy by getsockopt(2), with what only the kernel's lists tell; remade by
 * the same calls a program makes.  Connections of TCP, both ways, are in tcp_dump.c and
 * tcp_restore.c; the sequence of bind(2), listen(2) and connect(2) of all others in inet_bind.c.
 *
 * What can be lost without being asked is refused: packets that wait in a raw or ping socket (those
 * of UDP are kept, inet_queue.c), a datagram in the making (cork), connections that nobody
 * accepted, an error that waits to be fetched, data with an urgent mark, keys.
 */
#include "socket/tcp_pending.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "socket/multicast.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { ANY_TYPE = 0 };

static const struct {
	int protocol, type;
} protocols[] = {
	{0, ANY_TYPE},
	{IPPROTO_TCP, SOCK_STREAM},
	{IPPROTO_UDP, SOCK_DGRAM},
	{IPPROTO_UDPLITE, SOCK_DGRAM},
	{IPPROTO_ICMP, SOCK_DGRAM},
	{IPPROTO_ICMPV6, SOCK_DGRAM},
};

static const struct {
	int protocol;
	const char *name;
} others[] = {
	{262, "MPTCP"},
	{132, "SCTP"},
	{33, "DCCP"},
	{115, "L2TP"},
	{256, "SMC"},
};

static bool is_supported(uint32_t type, uint32_t protocol)
{
	if (type == SOCK_RAW)
		return true;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (protocols[i].protocol == (int)protocol &&
			(protocols[i].type == ANY_TYPE || protocols[i].type == (int)type))
			return true;
	return false;
}

static bool is_ping(const InetSkEntry *e)
{
	return e->type == SOCK_DGRAM && (e->proto == IPPROTO_ICMP || e->proto == IPPROTO_ICMPV6);
}

static bool is_datagram(const InetSkEntry *e)
{
	return e->proto == IPPROTO_UDP || e->proto == IPPROTO_UDPLITE;
}

/* --- dump --- */

struct inet_dump *inet_dump_of(struct file_dump *d)
{
	if (!d->inet) {
		uint64_t cookie = 0;
		socklen_t len = sizeof(cookie);
		d->inet = arena_new(&d->s->arena, struct inet_dump);
		d->inet->lock.owner = -1;
		_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len);
		d->inet->net_cookie = cookie;
	}
	return d->inet;
}

static bool inet_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	if (v->path_only || v->flags & O_PATH)
		return false;
	int family = socket_family(v);
	return family == AF_INET || family == AF_INET6;
}

static const char *family_name(const InetSkEntry *e)
{
	return e->family == AF_INET ? "IPv4" : "IPv6";
}

static bool block_protocol(struct file_dump *d, const struct file_view *v, const InetSkEntry *e)
{
	if (is_supported(e->type, e->proto))
		return false;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (others[i].protocol == (int)e->proto) {
			view_block(d, v, NULL, "a socket of %s over %s, which is not supported",
				others[i].name, family_name(e));
			return true;
		}
	view_block(d, v, NULL, "an %s socket of type %u and protocol %u, which is not supported",
		family_name(e), e->type, e->proto);
	return true;
}

/* Whose network it is: one that the controller is in. */
static bool block_namespace(struct file_dump *d, const struct file_view *v)
{
	uint64_t cookie = 0, own = inet_dump_of(d)->net_cookie;
	socklen_t len = sizeof(cookie);
	if (!own || getsockopt(v->fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0 ||
		cookie == own)
		return false;
	view_block(d, v, "run the tool in that namespace", "a socket of another network namespace");
	return true;
}

/* Of a connection; what has no address yet may be told another one by getsockname(2). */
static bool is_listed_connection(const struct inet_listed *l)
{
	return l && l->protocol == IPPROTO_TCP && l->state >= INET_ESTABLISHED &&
	       l->state < INET_LISTEN && l->state != INET_CLOSE && l->port && l->peer_port &&
	       (l->name[0] || l->name[1] || l->name[2] || l->name[3]);
}

static void store_listed_name(
	struct file_dump *d, InetSkEntry *e, bool remote, const uint32_t *words, uint16_t port)
{
	struct sockaddr_storage name = {.ss_family = (sa_family_t)e->family};
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&name;
	six->sin6_port = htons(port); /* at the same place in both */
	if (e->family == AF_INET6)
		memcpy(&six->sin6_addr, words, sizeof(six->sin6_addr));
	else
		((struct sockaddr_in *)&name)->sin_addr.s_addr = words[0];
	inet_store_name(d->s, e, remote, &name);
}

static int read_names(struct file_dump *d, const struct file_view *v, InetSkEntry *e,
	const struct inet_listed *listed)
{
	if (is_listed_connection(v->listed)) {
		const struct inet_listed *l = v->listed;
		store_listed_name(d, e, /* remote= */ false, l->name, l->port);
		store_listed_name(d, e, /* remote= */ true, l->peer_name, l->peer_port);
		return 0;
	}
	struct sockaddr_storage local = {0}, remote = {0};
	socklen_t len = sizeof(local);
	if (getsockname(v->fd, (struct sockaddr *)&local, &len) < 0)
		return fail(d->s, errno, "pid %d %s: read its address", v->from.task->vpid,
			view_label(d, v));
	inet_store_name(d->s, e, /* remote= */ false, &local);
	len = e->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	getsockopt(v->fd, SOL_SOCKET, SO_PEERNAME, &remote, &len);
	inet_store_name(d->s, e, /* remote= */ true, &remote);
	/* without a port there is no peer for getpeername(2) */
	if (!e->dst_port && listed)
		memcpy(e->dst_addr, listed->remote, e->n_dst_addr * sizeof(*e->dst_addr));
	return 0;
}

/* State, backlog; of a listener it also tells how many nobody has accepted. */
static int read_state(
	struct file_dump *d, const struct file_view *v, InetSkEntry *e, uint32_t *ret_pending)
{
	*ret_pending = 0;
	e->state = inet_has_peer(e) ? INET_ESTABLISHED : INET_CLOSE;
	if (!inet_is_tcp(e))
		return 0;
	if (is_listed_connection(v->listed)) {
		e->state = v->listed->state;
		return 0;
	}
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	if (getsockopt(v->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return fail(d->s, errno, "pid %d %s: read the state of the TCP socket",
			v->from.task->vpid, view_label(d, v));
	e->state = info.tcpi_state;
	if (e->state == INET_LISTEN) {
		*ret_pending = info.tcpi_unacked;
		e->backlog = info.tcpi_sacked;
	}
	return 0;
}

static void read_shutdown(struct file_dump *d, const struct file_view *v, InetSkEntry *e,
	const struct inet_listed *listed)
{
	uint8_t how = listed ? listed->shutdown : 0;
	int events = listed || e->state == INET_LISTEN ? 0 : view_poll(d, v, POLLIN | POLLRDHUP);
	if (events & POLLRDHUP)
		how = events & POLLHUP ? SK_SHUTDOWN__BOTH : SK_SHUTDOWN__READ;
	e->has_shutdown = how != 0;
	e->shutdown = (SkShutdown)how;
}

/* A link-local address counts on its interface only. */
static bool block_scope(struct file_dump *d, const struct file_view *v, InetSkEntry *e)
{
	struct sockaddr_in6 local;
	socklen_t len = sizeof(local);
	char name[IF_NAMESIZE];
	if (!inet_is_scoped(e) || !e->src_port)
		return false;
	if (getsockname(v->fd, (struct sockaddr *)&local, &len) < 0) {
		view_block(d, v, "try again", "%s, whose interface cannot be asked for: %s",
			inet_describe(d->s, e), strerror(errno));
		return true;
	}
	if (!local.sin6_scope_id)
		return false;
	if (if_indextoname(local.sin6_scope_id, name)) {
		e->ifname = arena_strdup(&d->s->arena, name);
		return false;
	}
	view_block(d, v, NULL, "%s, on interface %u, which is gone", inet_describe(d->s, e),
		local.sin6_scope_id);
	return true;
}

static bool is_corked(const struct file_view *v, const InetSkEntry *e)
{
	int cork = 0;
	socklen_t len = sizeof(cork);
	int level = e->proto == IPPROTO_UDPLITE ? IPPROTO_UDPLITE : IPPROTO_UDP;
	return is_datagram(e) && getsockopt(v->fd, level, UDP_CORK, &cork, &len) == 0 && cork;
}

/* SO_MEMINFO counts also what SIOCINQ cannot tell from nothing: empty datagrams. */
static int collect_queues(
	struct file_dump *d, const struct file_view *v, const InetSkEntry *e, struct dumped_file *f)
{
	bool has_input;
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(memory);
	getsockopt(v->fd, SOL_SOCKET, SO_MEMINFO, memory, &len);
	has_input = memory[SK_MEMINFO_RMEM_ALLOC] && !d->s->opt->skip_in_flight;
	if (is_corked(v, e))
		view_block(d, v, "clear UDP_CORK", "%s, which is corked", inet_describe(d->s, e));
	else if (memory[SK_MEMINFO_WMEM_ALLOC])
		view_block(d, v, "try again", "%s has a datagram that is not sent yet",
			inet_describe(d->s, e));
	else if (has_input && is_datagram(e))
		return inet_queue_dump(d, v, e, inet_describe(d->s, e), f);
	else if (has_input)
		view_block(d, v, "use --skip-in-flight to lose them",
			"%s has packets in its queue, which nothing can put back",
			inet_describe(d->s, e));
	return 0;
}

/* SO_ERROR cannot be asked without taking the error away, and only the program may do that. */
static bool block_error(
	struct file_dump *d, const struct file_view *v, const InetSkEntry *e, int events)
{
	if (!(events & POLLERR))
		return false;
	view_block(d, v, "have the program read it (SO_ERROR, MSG_ERRQUEUE)",
		"%s has an error or a message in its error queue", inet_describe(d->s, e));
	return true;
}

static int classify(struct file_dump *d, const struct file_view *v, InetSkEntry *e,
	struct dumped_file *f, uint32_t pending)
{
	if (block_scope(d, v, e) || block_error(d, v, e, view_poll(d, v, 0)))
		return 0;
	if (!inet_is_tcp(e)) {
		size_t blockers = d->s->blockers.n;
		int r = collect_queues(d, v, e, f);
		if (r < 0 || d->s->blockers.n > blockers)
			return r; /* what is corked would be sent by asking for hidden states */
	}
	if (inet_hidden_block(d, v, e, f) || !inet_is_tcp(e))
		return 0;
	const char *keys = tcp_keys(d, v);
	if (keys)
		view_block(d, v, "remove them", "%s has %s keys, which cannot be read",
			inet_describe(d->s, e), keys);
	if (pending)
		tcp_pending_add(d, v, e, pending);
	return 0;
}

static int read_options(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	InetSkEntry *e = f->detail;
	int r = sk_opts_dump(d, v, f, &e->opts);
	if (r >= 0)
		inet_options_dump(d, v, e, f);
	return r;
}

static int read_of_connection(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	int r = read_options(d, v, f);
	if (r >= 0)
		inet_hidden_block(d, v, f->detail, f);
	return r;
}

/* There may be thousands, and they have a hundred options each, which is most of their dump. */
static int collect_connection(
	struct file_dump *d, struct file_view *v, InetSkEntry *e, struct dumped_file *f)
{
	inet_options_prepare(d, e);
	int r = view_read_later(d, v, f, read_of_connection);
	*vec_push(&d->s->arena, &inet_dump_of(d)->clients) = (struct tcp_client){e, f};
	int events = view_poll(d, v, POLLPRI);
	return r < 0 || block_scope(d, v, e) || block_error(d, v, e, events)
		       ? r
		       : tcp_collect(d, v, e, events);
}

static void init_entry(const struct file_view *v, struct dumped_file *f, InetSkEntry *e)
{
	inet_sk_entry__init(e);
	f->detail = e;
	e->id = f->id;
	e->ino = (uint32_t)v->st.stx_ino;
	e->flags = v->flags;
	e->family = (uint32_t)socket_family(v);
	e->has_ns_id = v->from.task->ids && v->from.task->ids->has_net_ns_id;
	e->ns_id = e->has_ns_id ? v->from.task->ids->net_ns_id : 0;
}

/* In a list, which is of the controller's own network; other lists are not read for that. */
static int find_listed(struct file_dump *d, struct file_view *v, InetSkEntry *e)
{
	const struct inet_listed *l = inet_listed_already(d, v->st.stx_ino);
	int r = inet_is_listed(d, v, l);
	if (r <= 0)
		return r;
	v->listed = l;
	e->type = l->protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	e->proto = l->protocol;
	return 1;
}

/* In the list of its kind; in /proc there are no cookies. */
static int find_in_list(struct file_dump *d, struct file_view *v, const InetSkEntry *e,
	const struct inet_listed **ret)
{
	const struct inet_listed *l =
		inet_listed(d, (int)e->family, (int)e->proto, (int)e->type, v->st.stx_ino);
	int r = inet_dump_of(d)->list_error;
	if (r >= 0)
		r = inet_is_listed(d, v, l);
	v->listed = r > 0 ? l : NULL;
	*ret = l && l->cookie ? v->listed : l;
	return r;
}

/* What it is, and what lists tell of it. 0: it is blocked. */
static int identify(
	struct file_dump *d, struct file_view *v, InetSkEntry *e, const struct inet_listed **ret)
{
	int r = find_listed(d, v, e);
	*ret = v->listed;
	if (r)
		return r;
	e->type = (uint32_t)socket_int(v->fd, SO_TYPE, 0);
	e->proto = (uint32_t)socket_int(v->fd, SO_PROTOCOL, 0);
	if (block_protocol(d, v, e) || block_namespace(d, v))
		return 0;
	r = find_in_list(d, v, e, ret);
	return r < 0 ? r : 1;
}

static int inet_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	InetSkEntry *e = arena_new(&d->s->arena, InetSkEntry);
	init_entry(v, f, e);
	const struct inet_listed *listed;
	int r = identify(d, v, e, &listed);
	if (r <= 0)
		return r;
	r = read_names(d, v, e, listed);
	if (r < 0)
		return r;
	int v6only = 0;
	uint32_t pending;
	socklen_t len = sizeof(v6only);
	if (e->family == AF_INET6) {
		getsockopt(v->fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len);
		e->has_v6only = true;
		e->v6only = v6only;
	}
	r = read_state(d, v, e, &pending);
	if (r >= 0)
		r = fown_dump(d, v, &e->fown);
	if (r < 0)
		return r;
	read_shutdown(d, v, e, listed);
	if (inet_is_connection(e))
		return collect_connection(d, v, e, f);
	r = read_options(d, v, f);
	return r < 0 ? r : classify(d, v, e, f, pending);
}

static int inet_complete(struct file_dump *d)
{
	if (!d->inet)
		return 0;
	reuseport_complete(d);
	return tcp_pending_look(d);
}

/* --- restore --- */

struct inet_restore *inet_restore_of(struct file_set *f)
{
	if (!f->inet) {
		f->inet = arena_new(&f->s->arena, struct inet_restore);
		f->inet->lock.owner = -1;
	}
	return f->inet;
}

static int inet_check(struct file_set *f, struct open_file *o)
{
	const InetSkEntry *e = o->e->isk;
	struct sockaddr_storage name;
	o->flags = e->flags;
	o->fown = e->fown;
	if ((e->family != AF_INET && e->family != AF_INET6) || !is_supported(e->type, e->proto) ||
		!inet_name(e, false, &name) || (e->n_dst_addr && !inet_name(e, true, &name)))
		return fail(f->s, EBADMSG, "%s: the inet socket in its image is not sane",
			open_file_label(f, o));
	if (e->ifname && !if_nametoindex(e->ifname) && !tun_comes_as(f, e->ifname, 0))
		return fail(f->s, ENODEV, "%s: the socket %s is on the interface %s",
			open_file_label(f, o), inet_label(f->s, e, false), e->ifname);
	int r = sk_opts_check(f, o, e->opts);
	if (r >= 0)
		r = inet_queue_check(f, o);
	if (r >= 0)
		r = reuseport_check(f, o);
	if (r >= 0 && !f->s->images_only)
		r = multicast_check(f, o);
	if (r < 0)
		return r;
	if (inet_is_connection(e))
		return tcp_check(f, o);
	*vec_push(&f->s->arena, &inet_restore_of(f)->plain) = o;
	return is_ping(e) ? 0 : inet_plain_check(f, o);
}

static int inet_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	/* listeners first: a bound connection could be in their way, but not they in its */
	int r = inet_plain_make(f);
	if (r >= 0)
		r = tcp_pending_make(f);
	if (r < 0)
		return r;
	if (inet_is_connection(o->e->isk))
		return tcp_create(f, o, ret_fd);
	*ret_fd = o->fd;
	return 0;
}

const struct file_type inet_type = {
	.type = FD_TYPES__INETSK,
	.name = "inet socket",
	.restored = "UDP and UDP-Lite with queued datagrams, raw, ICMP, TCP listeners with all "
		    "options; TCP "
		    "connections with `--tcp-established`, or closed with `--tcp-close`",
	.limits =
		"errors that the program has not read; SO_INCOMING_CPU of others than "
		"listeners is lost, being mostly the kernel's own note; "
		"packets queued in raw and ICMP sockets and connections from outside that were not "
		"yet accepted, unless "
		"`--skip-in-flight`; corked UDP; TCP-MD5 and TCP-AO keys, TLS, urgent data; SCTP, "
		"MPTCP",
	.detail = offsetof(FileEntry, isk),
	.recognize = inet_recognize,
	.collect = inet_collect,
	.complete = inet_complete,
	.check = inet_check,
	.create = inet_create,
};
