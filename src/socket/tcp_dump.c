/*
 * Dump of TCP connections: tcp-stream-<inode>.img, by libfermata-tcp.
 *
 * Collecting only keeps a descriptor of each.  After the verdict, with the tasks stopped: a
 * guard (guard.h), the network lock for all of them at once, then each is paused and saved,
 * and stays paused.  So a tree that is killed closes them in silence, and the lock stays until the
 * restore.  A dump that fails or leaves the tasks alive removes the lock, then resumes them.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/share.h"
#include "kernel/syscalls.h"
#include "socket/tcp_pending.h"

#ifndef TCP_AO_INFO /* 6.7 */
#define TCP_AO_INFO 40
#endif

static const char *describe(struct session *s, const InetSkEntry *e)
{
	return arena_printf(&s->arena, "TCP connection %s -> %s", inet_label(s, e, false),
		inet_label(s, e, true));
}

/* Each stays open until the end. */
static void raise_limit(struct inet_dump *in)
{
	struct rlimit limit;
	if (in->old_limit)
		return;
	getrlimit(RLIMIT_NOFILE, &limit);
	in->old_limit = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void put_limit_back(struct inet_dump *in)
{
	struct rlimit limit;
	if (!in->old_limit)
		return;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = in->old_limit;
	setrlimit(RLIMIT_NOFILE, &limit);
	in->old_limit = 0;
}

static uint32_t queued_in(const struct file_view *v)
{
	int queued = 0;
	return ioctl(v->fd, FIONREAD, &queued) < 0 ? 0 : (uint32_t)queued;
}

/* Urgent data: a mark, or a queue that ends before one for SIOCINQ but not for sock_diag. */
static bool has_urgent(const struct file_view *v, int events)
{
	uint32_t whole = v->listed ? v->listed->rqueue : 0;
	return events & POLLPRI || (whole > 1 && whole > queued_in(v) + 1); /* 1: a FIN */
}

static void check_lock(struct file_dump *d, const struct file_view *v)
{
	struct inet_dump *in = inet_dump_of(d);
	if (in->lock_checked || d->s->opt->tcp_close)
		return;
	in->lock_checked = true;
	if (d->s->opt->network_lock == NETLOCK_IPTABLES)
		log_warn(d->s, "--network-lock iptables: nf_tables hold the packets of TCP "
			       "connections instead, in a table of their own");
	int r = net_lock_probe(d->s->opt->network_lock);
	if (r < 0)
		view_block(d, v, "use --network-lock skip",
			"the kernel cannot hold back the packets of TCP connections (%s)",
			strerror(-r));
}

/* Which there are can be asked, but not what they are. No answer is taken for some. */
static bool has_ao_keys(struct inet_dump *in, int fd)
{
	char info[64] = {0};
	socklen_t len = sizeof(info);
	if (in->no_ao)
		return false;
	int error = getsockopt(fd, IPPROTO_TCP, TCP_AO_INFO, info, &len) < 0 ? errno : 0;
	in->no_ao = error == ENOPROTOOPT;
	return error != ENOENT && error != ENOPROTOOPT;
}

const char *tcp_keys(struct file_dump *d, const struct file_view *v)
{
	if (v->listed && v->listed->md5)
		return "TCP-MD5";
	return has_ao_keys(inet_dump_of(d), v->fd) ? "TCP-AO" : NULL;
}

static bool block_connection(
	struct file_dump *d, const struct file_view *v, const InetSkEntry *e, int events)
{
	struct session *s = d->s;
	const struct inet_listed *listed = v->listed;
	size_t before = s->blockers.n;
	if (!s->opt->tcp_established && !s->opt->tcp_close)
		view_block(d, v, "use --tcp-established or --tcp-close", "%s", describe(s, e));
	if (s->opt->tcp_close)
		return s->blockers.n > before;
	const char *keys = tcp_keys(d, v);
	if (keys)
		view_block(d, v, "use --tcp-close", "%s has %s keys, which cannot be read",
			describe(s, e), keys);
	if (listed && listed->ulp)
		view_block(d, v, "use --tcp-close",
			"%s is encrypted by the kernel (TLS), whose state cannot be saved",
			describe(s, e));
	if (has_urgent(v, events))
		view_block(d, v, "let the program read it first", "%s has urgent data",
			describe(s, e));
	check_lock(d, v);
	return s->blockers.n > before;
}

static int write_stream(struct session *s, const struct tcp_source *t, const struct fermata_tcp *c)
{
	TcpStreamEntry e = TCP_STREAM_ENTRY__INIT;
	e.inq_len = c->inq_len;
	e.inq_seq = c->inq_seq;
	e.outq_len = c->outq_len;
	e.outq_seq = c->outq_seq;
	e.opt_mask = c->options;
	e.snd_wscale = c->snd_wscale;
	e.mss_clamp = c->mss_clamp;
	e.has_rcv_wscale = (c->options & TCPI_OPT_WSCALE) != 0;
	e.rcv_wscale = c->rcv_wscale;
	e.has_timestamp = (c->options & TCPI_OPT_TIMESTAMPS) != 0;
	e.timestamp = c->timestamp;
	e.has_unsq_len = true;
	e.unsq_len = c->unsq_len;
	e.has_snd_wl1 = e.has_snd_wnd = e.has_max_window = e.has_rcv_wnd = e.has_rcv_wup =
		c->has_window;
	e.snd_wl1 = c->snd_wl1;
	e.snd_wnd = c->snd_wnd;
	e.max_window = c->max_window;
	e.rcv_wnd = c->rcv_wnd;
	e.rcv_wup = c->rcv_wup;
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, s->images, IMG_TCP_STREAM, t->e->ino);
	int r = image_write(s, &w, &e.base);
	if (r >= 0 && c->inq_len)
		r = image_write_payload(s, &w, c->inq, c->inq_len, 1);
	if (r >= 0 && c->outq_len)
		r = image_write_payload(s, &w, c->outq, c->outq_len, 1);
	return r < 0 ? r : image_writer_close(s, &w);
}

/* "pid 8 fd 7: TCP connection ..." */
static const char *source_name(struct session *s, const struct tcp_source *t)
{
	const char *what = describe(s, t->e);
	pid_t pid = t->from.task->vpid;
	return t->from.label
		       ? arena_printf(&s->arena, "pid %d %s: %s", pid, t->from.label, what)
		       : arena_printf(&s->arena, "pid %d fd %d: %s", pid, t->from.number, what);
}

/* By two threads. */
static int save(struct session *s, void *arg, size_t i)
{
	struct tcp_source *t = ((struct inet_dump *)arg)->connections.v[i];
	struct fermata_tcp c = {.failed = "TCP_REPAIR"};
	int r = fermata_tcp_pause(t->fd);
	if (r >= 0) {
		t->paused = true;
		r = fermata_tcp_save(t->fd, &c);
	}
	/* that came since it was collected, and now cannot any more */
	if (r == -ECONNRESET)
		return fail_remedy(s, r, "try again when the program has read the error (SO_ERROR)",
			"%s: it broke just now", source_name(s, t));
	if (r < 0)
		return fail(s, r, "%s: save it: %s", source_name(s, t), c.failed);
	t->e->state = c.state; /* which may have moved on since it was collected */
	r = write_stream(s, t, &c);
	fermata_tcp_release(&c);
	return r;
}

/* In the guard, or here: the lock first, so that the probe of the window gets out. */
static int try_to_go_on(struct inet_dump *in)
{
	int r = insist(net_lock_remove(&in->lock));
	vec_for_each (&in->connections, it) {
		const struct tcp_source *t = *it;
		int paused = 0;
		socklen_t len = sizeof(paused);
		if (getsockopt(t->fd, IPPROTO_TCP, TCP_REPAIR, &paused, &len) < 0 || !paused)
			continue;
		int resumed = insist(fermata_tcp_resume(t->fd, t->e->opts->reuseaddr));
		r = r < 0 ? r : resumed;
	}
	return r;
}

static void go_on(void *arg)
{
	try_to_go_on(arg);
}

static void fill_lock(struct file_dump *d, struct inet_dump *in)
{
	struct net_conn *conns = arena_array(&d->s->arena, struct net_conn, in->connections.n);
	size_t n = 0;
	vec_for_each (&in->connections, t) {
		if ((*t)->pending)
			continue;
		inet_name((*t)->e, /* remote= */ false, &conns[n].local);
		inet_name((*t)->e, /* remote= */ true, &conns[n++].remote);
	}
	in->lock = (struct net_lock){.method = d->s->opt->network_lock,
		.run_id = d->s->run_id,
		.conns = conns,
		.n = n,
		.owner = -1};
}

static int save_all(struct file_dump *d, void *object)
{
	struct inet_dump *in = object;
	fill_lock(d, in);
	if (in->lock.method == NETLOCK_IPTABLES)
		in->lock.method = NETLOCK_NFTABLES;
	d->tree->network_lock = in->lock.method;
	const struct guard_duty duty = {.alive = d->tree->root->pid, .rescue = go_on, .arg = in};
	int r = guard_start(d->s, &in->guard, &duty);
	if (r >= 0)
		r = net_lock_make(d->s, &in->lock, /* temporary= */ false);
	if (r >= 0)
		r = share_out(d->s, in->connections.n, save, in);
	return r < 0 ? r : tcp_pending_read(d);
}

void tcp_dump_unlock(struct file_dump *d, const InetSkEntry *e)
{
	vec_for_each (&d->inet->connections, t)
		if ((*t)->e == e)
			(*t)->pending = true;
}

int tcp_collect(struct file_dump *d, struct file_view *v, InetSkEntry *e, int events)
{
	struct inet_dump *in = inet_dump_of(d);
	if (block_connection(d, v, e, events) || d->s->opt->tcp_close)
		return 0;
	d->predicted += v->listed ? v->listed->rqueue : queued_in(v);
	if (d->dry)
		return 0;
	raise_limit(in);
	struct tcp_source *t = arena_new(&d->s->arena, struct tcp_source);
	*t = (struct tcp_source){.from = v->from, .e = e, .fd = view_take(v)};
	if (t->fd < 0)
		return fail_remedy(d->s, errno, "raise the limit of open files (ulimit -n)",
			"%s: keep its descriptor", source_name(d->s, t));
	if (!in->connections.n)
		file_dump_later(d, save_all, in);
	*vec_push(&d->s->arena, &in->connections) = t;
	return 0;
}

/* By two threads: ours are the last descriptors, so the connections end here. */
static int close_one(struct session *s, void *arg, size_t i)
{
	(void)s;
	cleanup_close(&((struct inet_dump *)arg)->connections.v[i]->fd);
	return 0;
}

static void release(struct file_dump *d, struct inet_dump *in)
{
	share_out(d->s, in->connections.n, close_one, in);
	in->connections.n = 0;
	put_limit_back(in);
}

void tcp_dump_undo(struct file_dump *d)
{
	struct inet_dump *in = d->inet;
	if (!in || !in->connections.n)
		return;
	int r = in->lock.run_id ? try_to_go_on(in) : 0;
	if (r < 0)
		log_warn(d->s, "TCP connections could not be set going: %s", strerror(-r));
	guard_dismiss(&in->guard);
	release(d, in);
}

void tcp_dump_done(struct file_dump *d)
{
	struct inet_dump *in = d->inet;
	if (!in || !in->connections.n)
		return;
	guard_dismiss(&in->guard);
	release(d, in);
}
