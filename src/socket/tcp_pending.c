/*
 * The end that nobody has accepted is no descriptor; what it has received by now is read from the
 * kernel's memory (sock_memory.h).  The other end, the client, is dumped like any connection, and
 * its entry gets that data, and which of those that wait it is.  At restore it makes a new
 *connection to the listener, from the same port, and sends all again: numbers of the protocol are
 *others, but both ends agree on them, and nobody else has seen them.
 *
 *	sock of the listener: queue -> request -> sock of the other end: queue -> messages
 *
 * Clients outside of the tree would notice, and those that are closed again have no entry: left to
 * the refusal, or to --skip-in-flight.
 */
#include "socket/tcp_pending.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "socket/sock_memory.h"

/* --- dump --- */

enum member {
	LISTENER_QUEUE,
	QUEUE_FIRST,
	REQUEST_NEXT,
	REQUEST_SOCK,
	COMMON_FAMILY,
	COMMON_STATE,
	COMMON_PORT,
	COMMON_PEER_PORT,
	COMMON_ADDR,
	COMMON_PEER_ADDR,
	COMMON_ADDR6,
	COMMON_PEER_ADDR6,
	TCP_READ_UP_TO,
	TCP_RECEIVED_UP_TO,
	CB_SEQ,
	N_MEMBERS
};

static const struct kernel_member members[N_MEMBERS] = {
	[LISTENER_QUEUE] = {"inet_connection_sock", "icsk_accept_queue"},
	[QUEUE_FIRST] = {"request_sock_queue", "rskq_accept_head"},
	[REQUEST_NEXT] = {"request_sock", "dl_next"},
	[REQUEST_SOCK] = {"request_sock", "sk"},
	[COMMON_FAMILY] = {"sock_common", "skc_family"},
	[COMMON_STATE] = {"sock_common", "skc_state"},
	[COMMON_PORT] = {"sock_common", "skc_num"},
	[COMMON_PEER_PORT] = {"sock_common", "skc_dport"},
	[COMMON_ADDR] = {"sock_common", "skc_rcv_saddr"},
	[COMMON_PEER_ADDR] = {"sock_common", "skc_daddr"},
	[COMMON_ADDR6] = {"sock_common", "skc_v6_rcv_saddr"},
	[COMMON_PEER_ADDR6] = {"sock_common", "skc_v6_daddr"},
	[TCP_READ_UP_TO] = {"tcp_sock", "copied_seq"},
	[TCP_RECEIVED_UP_TO] = {"tcp_sock", "rcv_nxt"},
	[CB_SEQ] = {"tcp_skb_cb", "seq"},
};

/* net/tcp_states.h */
enum { STATE_FIN_WAIT1 = 4, STATE_FIN_WAIT2 = 5, STATE_CLOSE_WAIT = 8 };

enum { BYTES_MAX = 1 << 30 };

struct tcp_listener {
	struct file_source from;
	InetSkEntry *e;
	uint32_t n;
};

/* One that is kept. Before it is saved, the kernel may still take data over from the client. */
struct tcp_pending {
	uint64_t other_end;
	FermataTcpPending *e;
};

struct looking {
	struct file_dump *d;
	struct sock_memory *sockets;
	struct kernel_layout layout;
	uint32_t offset[N_MEMBERS];
	uint32_t n_kept; /* of this listener */
};

void tcp_pending_add(struct file_dump *d, const struct file_view *v, InetSkEntry *e, uint32_t n)
{
	struct tcp_listener *l = arena_new(&d->s->arena, struct tcp_listener);
	*l = (struct tcp_listener){v->from, e, n};
	*vec_push(&d->s->arena, &inet_dump_of(d)->listeners) = l;
}

/* An address and a port, IPv4 as IPv6 has it. */
struct end {
	uint8_t addr[16];
	uint16_t port;
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static void set_end(struct end *end, bool six, const void *addr, uint16_t port)
{
	*end = (struct end){.port = port};
	if (!six)
		memcpy(end->addr, mapped, sizeof(mapped));
	memcpy(end->addr + (six ? 0 : 12), addr, six ? 16 : 4);
}

static void end_of_sock(struct looking *l, uint64_t sock, bool peer, struct end *ret)
{
	bool six = (member_number(&l->layout, sock, COMMON_FAMILY) & 0xffff) == AF_INET6;
	enum member four = peer ? COMMON_PEER_ADDR : COMMON_ADDR;
	enum member all = peer ? COMMON_PEER_ADDR6 : COMMON_ADDR6;
	uint8_t addr[16];
	kernel_bytes(l->layout.memory, sock + l->offset[six ? all : four], addr, six ? 16 : 4);
	uint16_t port =
		(uint16_t)member_number(&l->layout, sock, peer ? COMMON_PEER_PORT : COMMON_PORT);
	set_end(ret, six, addr, peer ? ntohs(port) : port);
}

static bool end_is(const InetSkEntry *e, bool remote, const struct end *end)
{
	struct end own;
	size_t n = remote ? e->n_dst_addr : e->n_src_addr;
	set_end(&own, n == 4, remote ? e->dst_addr : e->src_addr,
		(uint16_t)(remote ? e->dst_port : e->src_port));
	return own.port == end->port && memcmp(own.addr, end->addr, sizeof(own.addr)) == 0;
}

static struct tcp_client *find_client(struct looking *l, uint64_t other_end)
{
	struct end local, remote;
	end_of_sock(l, other_end, /* peer= */ false, &local);
	end_of_sock(l, other_end, /* peer= */ true, &remote);
	vec_for_each (&inet_dump_of(l->d)->clients, c)
		if (end_is(c->e, /* remote= */ false, &remote) &&
			end_is(c->e, /* remote= */ true, &local))
			return c;
	return NULL;
}

/* Its messages may overlap; the last may be the end of file alone. */
static bool read_received(struct looking *l, uint64_t sock, FermataTcpPending *p)
{
	ProtobufCBinaryData *ret = &p->received;
	sock_message_vec queue = {0};
	uint32_t at = member_number(&l->layout, sock, TCP_READ_UP_TO),
		 end = member_number(&l->layout, sock, TCP_RECEIVED_UP_TO);
	end -= (member_number(&l->layout, sock, COMMON_STATE) & 0xff) == STATE_CLOSE_WAIT;
	if (kernel_failed(l->layout.memory) || end - at > BYTES_MAX ||
		!sock_queue(l->sockets, sock, &queue))
		return false;
	ret->len = end - at;
	ret->data = arena_alloc(&l->d->s->arena, ret->len + !ret->len);
	uint8_t *to = ret->data;
	vec_for_each (&queue, m) {
		uint32_t skip =
			at - member_number(&l->layout, sock_message_cb(l->sockets, m), CB_SEQ);
		if (kernel_failed(l->layout.memory) || (int32_t)skip < 0)
			return false; /* a gap */
		uint32_t n = skip < m->len ? m->len - skip : 0;
		n = n < end - at ? n : end - at;
		if (n && !sock_message_read(l->sockets, m, skip, to, n))
			return false;
		to += n;
		at += n;
	}
	p->received_up_to = end;
	return at == end;
}

static void look_at_other_end(struct looking *l, uint64_t sock, uint32_t index)
{
	struct arena *a = &l->d->s->arena;
	struct tcp_client *c = find_client(l, sock);
	FermataTcpPending *p = arena_new(a, FermataTcpPending);
	fermata_tcp_pending__init(p);
	p->index = index;
	if (kernel_failed(l->layout.memory) || !c || !read_received(l, sock, p))
		return;
	struct tcp_pending *pending = arena_new(a, struct tcp_pending);
	*pending = (struct tcp_pending){sock, p};
	*vec_push(a, &l->d->inet->pending) = pending;
	file_extra_make(l->d, c->f)->tcp_pending = p;
	tcp_dump_unlock(l->d, c->e);
	l->d->predicted += p->received.len;
	l->n_kept++;
}

static int look_at_listener(struct looking *l, const struct tcp_listener *listener)
{
	_cleanup_close_ int fd = source_take(l->d, &listener->from);
	uint64_t sock = fd < 0 ? 0 : sock_find(l->sockets, fd);
	uint64_t queue = sock + l->offset[LISTENER_QUEUE];
	uint64_t request = sock ? member_pointer(&l->layout, queue, QUEUE_FIRST) : 0;
	l->n_kept = 0;
	for (uint32_t i = 0; request && i < listener->n; i++) {
		look_at_other_end(l, member_pointer(&l->layout, request, REQUEST_SOCK), i);
		request = member_pointer(&l->layout, request, REQUEST_NEXT);
	}
	return fd < 0 ? fd : 0;
}

static bool may_look(struct file_dump *d, struct looking *ret)
{
	*ret = (struct looking){.d = d, .sockets = sock_memory_get(d)};
	if (!ret->sockets || d->s->opt->tcp_close)
		return false;
	ret->layout = (struct kernel_layout){sock_memory_kernel(ret->sockets), ret->offset};
	return kernel_members_find(ret->layout.memory, members, N_MEMBERS, ret->offset) >= 0;
}

int tcp_pending_look(struct file_dump *d)
{
	struct looking l;
	if (!d->inet || !d->inet->listeners.n)
		return 0;
	bool looks = may_look(d, &l);
	vec_for_each (&d->inet->listeners, it) {
		struct tcp_listener *listener = *it;
		int r = looks ? look_at_listener(&l, listener) : 0;
		if (r < 0)
			return r;
		uint32_t kept = looks ? l.n_kept : 0;
		if (kept < listener->n && !d->s->opt->skip_in_flight)
			block(d->s, listener->from.task->vpid, "use --skip-in-flight",
				"%s: TCP socket %s has %u connections that were not accepted yet%s",
				source_label(d, &listener->from),
				inet_label(d->s, listener->e, false), listener->n - kept,
				looks ? ", and whose clients are not in the tree" : "");
	}
	return 0;
}

int tcp_pending_read(struct file_dump *d)
{
	struct looking l;
	if (!d->inet->pending.n)
		return 0;
	bool good = may_look(d, &l);
	vec_for_each (&d->inet->pending, p)
		good = good && read_received(&l, (*p)->other_end, (*p)->e);
	return good ? 0
		    : fail_remedy(d->s, EAGAIN, "try again",
			      "read what TCP connections received that were not accepted yet");
}

/* --- restore --- */

static int send_all(
	struct file_set *f, const struct tcp_target *t, int fd, const void *data, size_t len)
{
	const char *from = data;
	while (len) {
		ssize_t n = send(fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN && sk_opts_widen(fd) >= 0)
			n = send(fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return fail(f->s, errno,
				"%s: send %zu bytes again on a connection that is not accepted",
				open_file_label(f, t->o), len);
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Its end of file was sent, and may have been acknowledged. */
static bool has_sent_fin(const InetSkEntry *e)
{
	return e->state == STATE_FIN_WAIT1 || e->state == STATE_FIN_WAIT2;
}

/* How much of the client's queue had arrived, though the client had not heard of it. */
static int find_overlap(
	struct file_set *f, const struct tcp_target *t, const struct fermata_tcp *c, uint32_t *ret)
{
	uint32_t begin = c->outq_seq - has_sent_fin(t->o->e->isk) - c->outq_len;
	*ret = t->pending->received_up_to - begin;
	if (!c->outq_len || *ret <= c->outq_len)
		return 0;
	return fail(f->s, EBADMSG,
		"%s: what its TCP connection has sent and what has arrived of that "
		"do not fit together",
		open_file_label(f, t->o));
}

/* What has arrived by now, and what has not. */
static int send_again(struct file_set *f, const struct tcp_target *t, int fd)
{
	struct fermata_tcp c;
	uint32_t overlap;
	int r = tcp_read_stream(f, t, &c);
	if (r < 0)
		return r;
	r = find_overlap(f, t, &c, &overlap);
	if (r >= 0)
		r = send_all(f, t, fd, t->pending->received.data, t->pending->received.len);
	if (r >= 0 && c.outq_len)
		r = send_all(f, t, fd, (char *)c.outq + overlap, c.outq_len - overlap);
	c.outq = NULL; /* part of the same memory */
	fermata_tcp_release(&c);
	return r;
}

/* In repair mode any port can be shared. */
static int connect_again(struct file_set *f, const struct tcp_target *t, int fd)
{
	const InetSkEntry *e = t->o->e->isk;
	struct sockaddr_storage local, remote;
	socklen_t local_len = inet_name(e, /* remote= */ false, &local);
	socklen_t remote_len = inet_name(e, /* remote= */ true, &remote);
	int r = fermata_tcp_pause(fd);
	if (r >= 0 && bind(fd, (struct sockaddr *)&local, local_len) < 0)
		r = -errno;
	if (r >= 0)
		r = fermata_tcp_resume(fd, 1);
	if (r >= 0 && connect(fd, (struct sockaddr *)&remote, remote_len) < 0)
		r = -errno;
	return r < 0 ? fail(f->s, r, "%s: connect %s to %s again, which has not accepted it yet",
			       open_file_label(f, t->o), inet_label(f->s, e, false),
			       inet_label(f->s, e, true))
		     : 0;
}

static void shut(const InetSkEntry *e, int fd)
{
	int how = (e->has_shutdown ? (int)e->shutdown : 0) |
		  (has_sent_fin(e) ? SK_SHUTDOWN__WRITE : 0);
	if (how)
		shutdown(fd, how - 1);
}

static int make(struct file_set *f, struct tcp_target *t)
{
	const InetSkEntry *e = t->o->e->isk;
	_cleanup_close_ int fd = socket((int)e->family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return fail(f->s, errno, "%s: make a TCP socket", open_file_label(f, t->o));
	int r = inet_options_before(f, t->o, fd);
	if (r >= 0)
		r = connect_again(f, t, fd);
	if (r >= 0)
		r = send_again(f, t, fd);
	if (r >= 0)
		r = inet_options_after(f, t->o, fd);
	if (r < 0)
		return r;
	shut(e, fd);
	t->fd = take_fd(&fd);
	return 0;
}

/* Indices count for each listener; among listeners any order will do. */
int tcp_pending_make(struct file_set *f)
{
	struct inet_restore *in = f->inet;
	uint32_t last = 0;
	int r = 0;
	if (in->pending_made)
		return 0;
	in->pending_made = true;
	vec_for_each (&in->connections, t)
		if ((*t)->pending && (*t)->pending->index > last)
			last = (*t)->pending->index;
	for (uint32_t index = 0; index <= last && r >= 0; index++)
		for (size_t i = 0; i < in->connections.n && r >= 0; i++) {
			struct tcp_target *t = in->connections.v[i];
			if (t->pending && t->pending->index == index)
				r = make(f, t);
		}
	return r;
}
