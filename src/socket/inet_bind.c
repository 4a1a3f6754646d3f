/*
 * Sockets that are no TCP connections: bind(2), queued datagrams, listen(2), connect(2), in an
 * order that works.
 *
 * Several sockets may share a port, by SO_REUSEADDR, SO_REUSEPORT, or because a flag was changed
 * after bind(2).  So all of them are bound before any has a peer or its last options, each with
 * the flags it had; if that fails, SO_REUSEADDR is set on all that have the port for the moment.
 * Options of the image then overwrite it.  What still holds the port may be connections that a
 * listener had before, in TIME-WAIT: without SO_REUSEADDR they would keep it from its port for a
 * minute, so they are ended.  TCP connections come later and need no permission: repair mode shares
 * any port.
 *
 * Whether an address is free is tried before anything is forked, by a socket that goes at once.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/sock_diag.h"

#include "socket/inet.h"

static socklen_t local_name(const InetSkEntry *e, struct sockaddr_storage *ret)
{
	socklen_t len = inet_name(e, /* remote= */ false, ret);
	/* of raw sockets it is the protocol number, which bind() takes for nothing */
	bool has_port = e->src_port && e->type != SOCK_RAW;
	return has_port || !inet_is_any(ret) ? len : 0;
}

static int new_socket(struct file_set *f, const struct open_file *o, int *ret_fd)
{
	const InetSkEntry *e = o->e->isk;
	int type = (int)e->type | SOCK_CLOEXEC;
	_cleanup_close_ int fd = socket((int)e->family, type, (int)e->proto);
	if (fd < 0)
		return fail(f->s, errno, "%s: make a socket of family %u protocol %u",
			open_file_label(f, o), e->family, e->proto);
	int r = inet_options_before(f, o, fd);
	if (r >= 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static void set_reuse(int fd, int option, int value)
{
	setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

/* -errno, without a failure */
static int try_bind(int fd, const InetSkEntry *e, bool force)
{
	struct sockaddr_storage name;
	socklen_t len = local_name(e, &name);
	if (!len)
		return 0;
	set_reuse(fd, SO_REUSEADDR, force || (e->opts->has_reuseaddr && e->opts->reuseaddr));
	set_reuse(fd, SO_REUSEPORT, e->opts->has_so_reuseport && e->opts->so_reuseport);
	return bind(fd, (struct sockaddr *)&name, len) < 0 ? -errno : 0;
}

struct leftovers {
	struct session *s;
	uint16_t port; /* in network order */
	VEC(struct inet_diag_req_v2) found;
};

static int add_leftover(void *arg, const void *message, size_t len)
{
	struct leftovers *l = arg;
	const struct inet_diag_msg *m = message;
	if (len < sizeof(*m))
		return -EBADMSG;
	if (m->idiag_state == TCP_TIME_WAIT && m->id.idiag_sport == l->port)
		*vec_push(&l->s->arena, &l->found) = (struct inet_diag_req_v2){
			.sdiag_family = m->idiag_family,
			.sdiag_protocol = IPPROTO_TCP,
			.id = m->id,
		};
	return 0;
}

/* Connections that are over, and belong to nobody. */
static int end_time_wait(struct file_set *f, const InetSkEntry *e)
{
	struct leftovers l = {.s = f->s, .port = htons((uint16_t)e->src_port)};
	const int families[] = {AF_INET, AF_INET6};
	for (size_t i = 0; i < 2; i++) {
		struct inet_diag_req_v2 req = {.sdiag_family = (uint8_t)families[i],
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = 1u << TCP_TIME_WAIT};
		int r = sock_diag_list(f->s, &req, sizeof(req), add_leftover, &l);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	vec_for_each (&l.found, req)
		sock_diag_destroy(req, sizeof(*req));
	return l.found.n > 0;
}

/* As try_bind(), whatever else is there that may be shared or ended; -errno without a failure. */
static int bind_anyway(struct file_set *f, int fd, const InetSkEntry *e)
{
	int r = try_bind(fd, e, /* force= */ true);
	if (r == -EADDRINUSE && inet_is_tcp(e) && end_time_wait(f, e) > 0)
		r = try_bind(fd, e, /* force= */ true);
	return r;
}

static int fail_bind(struct file_set *f, const struct open_file *o, int err)
{
	const InetSkEntry *e = o->e->isk;
	const char *label = inet_label(f->s, e, false);
	const char *protocol = inet_is_tcp(e) ? "TCP" : e->proto == IPPROTO_UDP ? "UDP" : "inet";
	if (err == -EADDRINUSE)
		return fail_remedy(f->s, err, "end the program that has it",
			"%s: the %s address %s is taken", open_file_label(f, o), protocol, label);
	return fail(
		f->s, err, "%s: bind the %s socket to %s", open_file_label(f, o), protocol, label);
}

bool inet_waits_for_tun(const struct file_set *f, const InetSkEntry *e)
{
	struct sockaddr_storage name;
	const uint8_t *address = (const uint8_t *)&((struct sockaddr_in *)&name)->sin_addr;
	const struct in6_addr *six = &((struct sockaddr_in6 *)&name)->sin6_addr;
	const char *dev = e->opts->so_bound_dev ? e->opts->so_bound_dev : e->ifname;
	int family = (int)e->family;
	inet_name(e, /* remote= */ false, &name);
	if (family == AF_INET6) {
		address = six->s6_addr;
		if (IN6_IS_ADDR_V4MAPPED(six)) {
			family = AF_INET;
			address += 12;
		}
	}
	return tun_brings(f, family, address) || (dev && tun_comes_as(f, dev, 0));
}

int inet_plain_check(struct file_set *f, struct open_file *o)
{
	_cleanup_close_ int fd = -1;
	if (f->s->images_only || inet_waits_for_tun(f, o->e->isk))
		return 0;
	int r = new_socket(f, o, &fd);
	if (r < 0)
		return r;
	r = try_bind(fd, o->e->isk, /* force= */ false);
	if (r == -EADDRINUSE)
		r = bind_anyway(f, fd, o->e->isk);
	return r < 0 ? fail_bind(f, o, r) : 0;
}

static void force_others(struct file_set *f, const struct open_file *o)
{
	vec_for_each (&f->inet->plain, other)
		if ((*other)->fd >= 0 && (*other)->e->isk->src_port == o->e->isk->src_port)
			set_reuse((*other)->fd, SO_REUSEADDR, 1);
}

static int bind_one(struct file_set *f, struct open_file *o)
{
	int r = o->fd < 0 ? new_socket(f, o, &o->fd) : 0;
	if (r < 0)
		return r;
	r = try_bind(o->fd, o->e->isk, /* force= */ false);
	if (r == -EADDRINUSE) {
		force_others(f, o);
		r = bind_anyway(f, o->fd, o->e->isk);
	}
	return r < 0 ? fail_bind(f, o, r) : 0;
}

static int feed_first(struct file_set *f, struct open_file *o)
{
	int r = inet_queue_comes_first(o) ? new_socket(f, o, &o->fd) : 0;
	return r < 0 || o->fd < 0 ? r : inet_queue_feed_first(f, o);
}

static int feed_bound(struct file_set *f, struct open_file *o)
{
	return inet_queue_comes_first(o) ? 0 : inet_queue_feed(f, o);
}

static int make_bound(struct file_set *f, struct open_file *o)
{
	return o->e->isk->type == SOCK_RAW ? 0 : bind_one(f, o);
}

/* Raw sockets would see what goes into the queues of others: they come after that. */
static int make_raw(struct file_set *f, struct open_file *o)
{
	return o->e->isk->type == SOCK_RAW ? bind_one(f, o) : 0;
}

static int make_listening(struct file_set *f, struct open_file *o)
{
	const InetSkEntry *e = o->e->isk;
	if (!inet_is_tcp(e) || e->state != INET_LISTEN)
		return 0;
	if (listen(o->fd, (int)e->backlog) == 0)
		return 0;
	return errno == EADDRINUSE ? fail_bind(f, o, -EADDRINUSE)
				   : fail(f->s, errno, "%s: listen at %s", open_file_label(f, o),
					     inet_label(f->s, e, false));
}

static int connect_datagram(struct file_set *f, struct open_file *o)
{
	const InetSkEntry *e = o->e->isk;
	struct sockaddr_storage name;
	socklen_t len = e->n_dst_addr ? inet_name(e, /* remote= */ true, &name) : 0;
	if (inet_is_tcp(e) || !len || (!e->dst_port && inet_is_any(&name)))
		return 0;
	if (connect(o->fd, (struct sockaddr *)&name, len) == 0)
		return 0;
	return fail(f->s, errno, "%s: connect the socket to %s", open_file_label(f, o),
		inet_label(f->s, e, true));
}

static int complete(struct file_set *f, struct open_file *o)
{
	const InetSkEntry *e = o->e->isk;
	int r = connect_datagram(f, o);
	if (r >= 0)
		r = inet_options_after(f, o, o->fd);
	if (r < 0 || !e->has_shutdown || e->shutdown == SK_SHUTDOWN__NONE)
		return r;
	/* takes effect also where it fails: the kernel marks the socket first */
	shutdown(o->fd, (int)e->shutdown - 1);
	return 0;
}

int inet_plain_make(struct file_set *f)
{
	int (*const steps[])(struct file_set *, struct open_file *) = {
		feed_first, make_bound, feed_bound, make_raw, make_listening, complete};
	struct inet_restore *in = f->inet;
	if (in->plain_made)
		return 0;
	in->plain_made = true;
	reuseport_sort(f);
	int made = tun_make_all(f); /* with addresses that sockets have */
	if (made < 0)
		return made;
	for (size_t step = 0; step < sizeof(steps) / sizeof(*steps); step++)
		vec_for_each (&in->plain, o) {
			int r = steps[step](f, *o);
			if (r < 0)
				return r;
		}
	return 0;
}
