/*
 * Restore of TCP connections, by libfermata-tcp.
 *
 * Before anything is forked: the image is whole, the option is given, the local address exists
 * and nobody else has a connection between the two addresses.  Then the lock of the dump is made
 * sure of (it is gone after --leave-running, and elsewhere).  Connections are made paused, so a
 * restore that fails ends them in silence, and images and lock still serve the next try.  When the
 * tasks are past all failures, the lock goes and all connections are resumed, by a guard if the
 * controller dies just then.
 *
 * Sockets without a process may still have the addresses, when their program was killed (orphans,
 * TIME-WAIT): they are destroyed (SOCK_DESTROY) under the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kernel/sock_diag.h"
#include "kernel/syscalls.h"
#include "socket/inet.h"

enum { DIES_WITHIN_MS = 500 }; /* a stub whose tracer is gone */

static const char *describe(struct session *s, const InetSkEntry *e)
{
	return arena_printf(&s->arena, "TCP connection %s -> %s", inet_label(s, e, false),
		inet_label(s, e, true));
}

/* --- check --- */

static int load_stream(struct file_set *f, const struct open_file *o, struct tcp_target *t)
{
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	ProtobufCMessage *m = NULL;
	int r = image_reader_open(f->s, &reader, f->s->images, IMG_TCP_STREAM, o->e->isk->ino);
	if (r >= 0)
		r = image_read(f->s, &reader, &m);
	if (r < 0)
		return r;
	const TcpStreamEntry *e = (const TcpStreamEntry *)m;
	if (!e || !e->has_unsq_len || e->unsq_len > e->outq_len ||
		(e->opt_mask & TCPI_OPT_WSCALE && !e->has_rcv_wscale) ||
		(e->opt_mask & TCPI_OPT_TIMESTAMPS && !e->has_timestamp))
		return fail(f->s, EBADMSG, "%s: %s: its image tcp-stream-%x.img is %s",
			open_file_label(f, o), describe(f->s, o->e->isk), o->e->isk->ino,
			e ? "not sane" : "missing");
	t->stream = e;
	t->payload = reader.payload.offset;
	return 0;
}

static int check_options(struct file_set *f, const struct open_file *o)
{
	const struct options *opt = f->s->opt;
	const InetSkEntry *e = o->e->isk;
	if (f->tree->tcp_close && !opt->tcp_close)
		return fail_remedy(f->s, EINVAL, "use --tcp-close",
			"%s: %s was dumped with --tcp-close", open_file_label(f, o),
			describe(f->s, e));
	if (!opt->tcp_close && !opt->tcp_established)
		return fail_remedy(f->s, EINVAL, "use --tcp-established or --tcp-close", "%s: %s",
			open_file_label(f, o), describe(f->s, e));
	return 0;
}

/* The one between the same addresses, if any. */
static int find_taken(const InetSkEntry *e, struct inet_diag_msg *ret)
{
	struct inet_diag_req_v2 req = {.sdiag_family = (uint8_t)e->family,
		.sdiag_protocol = IPPROTO_TCP,
		.id = {.idiag_sport = htons((uint16_t)e->src_port),
			.idiag_dport = htons((uint16_t)e->dst_port),
			.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}};
	memcpy(req.id.idiag_src, e->src_addr, e->n_src_addr * 4);
	memcpy(req.id.idiag_dst, e->dst_addr, e->n_dst_addr * 4);
	int r = sock_diag_get(&req, sizeof(req), ret, sizeof(*ret));
	if (r < 0 || ret->idiag_state == INET_LISTEN)
		return -ENOENT; /* nothing, or no diag module: then connect(2) will tell */
	return 0;
}

static int check_free(struct file_set *f, const struct open_file *o)
{
	const InetSkEntry *e = o->e->isk;
	struct inet_diag_msg other;
	if (find_taken(e, &other) < 0 || !other.idiag_inode)
		return 0;
	return fail_remedy(f->s, EADDRINUSE, "end the program that has it",
		"%s: there is already a %s (socket %u)", open_file_label(f, o), describe(f->s, e),
		other.idiag_inode);
}

/* Repair mode shares any port: only the address can be wrong. */
static int check_address(struct file_set *f, const struct open_file *o)
{
	const InetSkEntry *e = o->e->isk;
	struct sockaddr_storage name;
	socklen_t len = inet_name(e, /* remote= */ false, &name);
	_cleanup_close_ int fd = socket((int)e->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : inet_options_before(f, o, fd);
	if (r >= 0)
		r = fermata_tcp_pause(fd);
	if (r == -EPERM)
		return fail_remedy(f->s, r, "CAP_NET_ADMIN is needed", "%s: restore the %s",
			open_file_label(f, o), describe(f->s, e));
	if (r >= 0 && bind(fd, (struct sockaddr *)&name, len) < 0)
		r = -errno;
	return r < 0 ? fail(f->s, r, "%s: bind the TCP socket to %s", open_file_label(f, o),
			       inet_label(f->s, e, false))
		     : 0;
}

static int check_limit(struct file_set *f)
{
	struct rlimit limit;
	const rlim_t spare = 128;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (f->inet->connections.n + spare < limit.rlim_max)
		return 0;
	return fail_remedy(f->s, EMFILE, "raise the hard limit of open files (ulimit -Hn)",
		"%zu TCP connections are more than the tool can have open", f->inet->connections.n);
}

int tcp_check(struct file_set *f, struct open_file *o)
{
	struct tcp_target *t = arena_new(&f->s->arena, struct tcp_target);
	*t = (struct tcp_target){.o = o, .fd = -1};
	struct inet_restore *in = inet_restore_of(f);
	bool connected = !f->s->opt->tcp_close && !f->tree->tcp_close;
	int r = connected ? load_stream(f, o, t) : 0;
	if (r >= 0 && !f->s->images_only) {
		r = check_options(f, o);
		if (r >= 0 && connected && !inet_waits_for_tun(f, o->e->isk))
			r = check_address(f, o);
		if (r >= 0 && connected)
			r = check_free(f, o);
	}
	if (r < 0)
		return r;
	t->pending = connected && o->extra ? o->extra->tcp_pending : NULL;
	*vec_push(&f->s->arena, &in->connections) = t;
	id_map_put(&f->s->arena, &in->by_file, o->id, t);
	return check_limit(f);
}

/* --- create --- */

static int lock_all(struct file_set *f)
{
	struct inet_restore *in = f->inet;
	if (in->locked)
		return 0;
	in->locked = true;
	size_t n = 0;
	struct net_conn *conns = arena_array(&f->s->arena, struct net_conn, in->connections.n);
	vec_for_each (&in->connections, t) {
		if ((*t)->pending)
			continue;
		inet_name((*t)->o->e->isk, false, &conns[n].local);
		inet_name((*t)->o->e->isk, true, &conns[n++].remote);
	}
	in->lock = (struct net_lock){.method = f->tree->network_lock,
		.run_id = f->tree->run_id,
		.conns = conns,
		.n = n,
		.owner = -1};
	if (in->lock.method == NETLOCK_IPTABLES)
		log_warn(f->s, "these images were made with --network-lock iptables: rules of "
			       "iptables that still drop packets of the TCP connections have to "
			       "be deleted by hand");
	return net_lock_ensure(f->s, &in->lock);
}

static int read_queues(struct file_set *f, const struct tcp_target *t, struct fermata_tcp *c)
{
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	size_t len = (size_t)c->inq_len + c->outq_len;
	int r = image_reader_open(f->s, &reader, f->s->images, IMG_TCP_STREAM, t->o->e->isk->ino);
	if (r < 0 || !len)
		return r;
	c->inq = malloc(len);
	if (!c->inq)
		return fail(f->s, ENOMEM, "read the queues of a TCP connection");
	c->outq = (char *)c->inq + c->inq_len;
	if (pread(reader.fd, c->inq, len, (off_t)t->payload) != (ssize_t)len)
		return fail(
			f->s, EBADMSG, "read the queues of a TCP connection from %s", reader.name);
	return 0;
}

static void fill(struct fermata_tcp *c, const InetSkEntry *e, const TcpStreamEntry *s)
{
	*c = (struct fermata_tcp){.state = e->state,
		.options = s->opt_mask,
		.snd_wscale = s->opt_mask & TCPI_OPT_WSCALE ? s->snd_wscale : 0,
		.rcv_wscale = s->rcv_wscale,
		.mss_clamp = s->mss_clamp,
		.timestamp = s->timestamp,
		.inq_seq = s->inq_seq,
		.outq_seq = s->outq_seq,
		.inq_len = s->inq_len,
		.outq_len = s->outq_len,
		.unsq_len = s->unsq_len,
		.has_window = s->has_snd_wnd,
		.snd_wl1 = s->snd_wl1,
		.snd_wnd = s->snd_wnd,
		.max_window = s->max_window,
		.rcv_wnd = s->rcv_wnd,
		.rcv_wup = s->rcv_wup};
	inet_name(e, /* remote= */ false, &c->local);
	inet_name(e, /* remote= */ true, &c->remote);
}

/* Nobody owns it, so nobody misses it; the lock keeps its reset from the peer. */
static void clear_way(struct file_set *f, const InetSkEntry *e)
{
	struct inet_diag_msg other;
	if (find_taken(e, &other) < 0 || other.idiag_inode)
		return;
	struct inet_diag_req_v2 req = {
		.sdiag_family = other.idiag_family, .sdiag_protocol = IPPROTO_TCP, .id = other.id};
	int r = sock_diag_destroy(&req, sizeof(req));
	if (r < 0)
		log_info(f->s, "cannot destroy what is left of %s: %s", describe(f->s, e),
			strerror(-r));
}

int tcp_read_stream(struct file_set *f, const struct tcp_target *t, struct fermata_tcp *ret)
{
	fill(ret, t->o->e->isk, t->stream);
	return read_queues(f, t, ret);
}

static int restore_stream(struct file_set *f, const struct tcp_target *t, int fd)
{
	struct fermata_tcp c;
	const InetSkEntry *e = t->o->e->isk;
	int r = tcp_read_stream(f, t, &c);
	if (r >= 0) {
		clear_way(f, e);
		r = fermata_tcp_restore(fd, &c);
		if (r < 0)
			fail(f->s, r, "%s: restore the %s: %s", open_file_label(f, t->o),
				describe(f->s, e), c.failed);
	}
	c.outq = NULL; /* part of the same memory */
	fermata_tcp_release(&c);
	return r;
}

/* --tcp-close: as if the connection had broken. */
static int create_closed(struct file_set *f, struct open_file *o, int fd)
{
	shutdown(fd, SHUT_RDWR); /* ENOTCONN, but it has its effect */
	return inet_options_after(f, o, fd);
}

static void shut_reading(const InetSkEntry *e, int fd)
{
	if (e->has_shutdown && e->shutdown & SK_SHUTDOWN__READ)
		shutdown(fd, SHUT_RD); /* the other side is in the state */
}

int tcp_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	const InetSkEntry *e = o->e->isk;
	struct tcp_target *t = id_map_get(&f->inet->by_file, o->id);
	if (t->pending) {
		*ret_fd = take_fd(&t->fd);
		return 0;
	}
	_cleanup_close_ int fd = socket((int)e->family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return fail(f->s, errno, "%s: make a TCP socket", open_file_label(f, o));
	int r = inet_options_before(f, o, fd);
	if (r >= 0 && !t->stream) {
		r = create_closed(f, o, fd);
	} else if (r >= 0) {
		r = lock_all(f);
		if (r >= 0)
			r = restore_stream(f, t, fd);
		if (r >= 0)
			r = inet_options_after(f, o, fd);
		if (r >= 0)
			shut_reading(e, fd);
	}
	if (r >= 0)
		*ret_fd = take_fd(&fd);
	return r;
}

/* --- the end --- */

static int try_to_go_on(struct inet_restore *in)
{
	int r = insist(net_lock_remove(&in->lock));
	vec_for_each (&in->connections, it) {
		const struct tcp_target *t = *it;
		const SkOptsEntry *opts = t->o->e->isk->opts;
		if (!t->stream || t->pending || t->fd < 0)
			continue;
		int resumed = insist(
			fermata_tcp_resume(t->fd, opts->has_reuseaddr && opts->reuseaddr));
		r = r < 0 ? r : resumed;
	}
	return r;
}

static void go_on(void *arg)
{
	try_to_go_on(arg);
}

/*
 * Some may have been let go already: they would say farewell into the lock, in vain, and hold the
 * port for minutes.  The same images would not restore meanwhile.
 */
static void close_silently(void *arg)
{
	struct inet_restore *in = arg;
	vec_for_each (&in->connections, t)
		if ((*t)->stream && (*t)->fd >= 0)
			fermata_tcp_pause((*t)->fd);
}

static int take(struct file_set *f, struct tcp_target *t)
{
	const struct open_file *o = t->o;
	if (o->fd >= 0) {
		t->fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
		return t->fd < 0 ? fail(f->s, errno, "keep a TCP connection") : 0;
	}
	if (!o->holder)
		return 0; /* nobody has it */
	_cleanup_close_ int pidfd = sys_pidfd_open(o->holder->task->pid, 0);
	t->fd = pidfd < 0 ? pidfd : sys_pidfd_getfd(pidfd, (int)o->holder_fd);
	return t->fd < 0 ? fail(f->s, t->fd, "%s: get the TCP connection", open_file_label(f, o))
			 : 0;
}

int tcp_restore_hold(struct file_set *f)
{
	struct inet_restore *in = f->inet;
	struct rlimit limit;
	if (!in || !in->locked)
		return 0;
	getrlimit(RLIMIT_NOFILE, &limit);
	in->old_limit = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	int r = 0;
	for (size_t i = 0; i < in->connections.n && r >= 0; i++)
		r = take(f, in->connections.v[i]);
	if (r < 0)
		return r;
	const struct guard_duty duty = {.alive = f->tree->root->pid,
		.wait_ms = DIES_WITHIN_MS,
		.rescue = go_on,
		.bury = close_silently,
		.arg = in};
	return guard_start(f->s, &in->guard, &duty);
}

static void release(struct inet_restore *in)
{
	struct rlimit limit;
	guard_dismiss(&in->guard);
	vec_for_each (&in->connections, t)
		if ((*t)->fd >= 0)
			close(take_fd(&(*t)->fd));
	if (!in->old_limit)
		return;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = in->old_limit;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void tcp_restore_done(struct file_set *f)
{
	if (!f->inet || !f->inet->locked)
		return;
	int r = try_to_go_on(f->inet);
	if (r < 0)
		log_warn(f->s, "TCP connections could not be set going: %s", strerror(-r));
	release(f->inet);
}

void tcp_restore_undo(struct file_set *f)
{
	if (!f->inet)
		return;
	release(f->inet);
	if (f->inet->lock.ours)
		net_lock_remove(&f->inet->lock);
}
