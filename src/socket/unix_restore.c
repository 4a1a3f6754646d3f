/*
 * Making all unix sockets of the images, before any task is given one.
 *
 *	1. listeners                       bound, listening
 *	2. streams, unconnected or in pairs  socketpair(); with names: connect() and accept()
 *	3. datagram sockets                bound, or in pairs; not connected by name yet, because a
 *	                                   connected one takes messages from its peer only
 *	4. queues                          unix_feed.c; files in them may be any, all sockets exist
 *	5. datagram sockets                connected
 *	6. peers that were closed          close
 *	7. connections that wait           made, in order, and nobody accepts them
 *	8. options, shutdowns              would have been in the way before
 *
 * One process does it all, in this order: nothing races.  An accepted socket has its listener's
 * name, so it is made by a listener of that name; one that is not there any more is made for the
 * moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "plugin/plugin.h"
#include "rpc.pb-c.h"
#include "socket/unix.h"
#include "task/task.h"

enum { AMPLE_BACKLOG = 4096 };

static int new_socket(struct file_set *f, const UnixSkEntry *e, int *ret_fd)
{
	*ret_fd = socket(AF_UNIX, (int)e->type | SOCK_CLOEXEC, 0);
	return *ret_fd < 0 ? fail(f->s, errno, "make a unix socket") : 0;
}

static int make_bound(struct file_set *f, struct unix_sock *u)
{
	int r = new_socket(f, u->e, &u->fd);
	return r < 0 ? r : unix_name_bind(f, u, u->fd);
}

static const FermataUcred *peer_of(const struct unix_sock *u)
{
	return u && u->x ? u->x->peer : NULL;
}

/* --- streams --- */

static bool same_caller(const FermataUcred *a, const FermataUcred *b)
{
	return a == b || (a && b && a->pid == b->pid && a->uid == b->uid && a->gid == b->gid &&
				 a->n_groups == b->n_groups &&
				 (!a->n_groups || memcmp(a->groups, b->groups,
							  a->n_groups * sizeof(*a->groups)) == 0));
}

/* Who connects now is told of this one as its peer. */
static int listen_as(struct file_set *f, struct unix_sock *listener, const FermataUcred *who)
{
	if (listener->listens && same_caller(listener->listens_as, who))
		return 0;
	listener->listens = true;
	listener->listens_as = who;
	return unix_call_listen(f, who, listener->fd, AMPLE_BACKLOG);
}

/* The listener of an accepted socket, or one like it. */
static int get_listener(
	struct file_set *f, const struct unix_sock *accepted, struct unix_sock **ret)
{
	struct unix_set *set = f->unix_socks;
	*ret = unix_listener_named(set, accepted->e);
	if (*ret)
		return 0;
	struct unix_sock *l = *ret = arena_new(&f->s->arena, struct unix_sock);
	*l = (struct unix_sock){.o = accepted->o, .e = accepted->e, .x = accepted->x, .fd = -1};
	*vec_push(&f->s->arena, &set->listeners) = l;
	return make_bound(f, l);
}

/* client NULL: one that is closed by now. */
static int make_accepted(struct file_set *f, struct unix_sock *client, struct unix_sock *accepted)
{
	struct unix_sock *l;
	int *client_fd = client ? &client->fd : &accepted->feeder;
	int r = get_listener(f, accepted, &l);
	if (r >= 0)
		r = new_socket(f, accepted->e, client_fd);
	if (r >= 0 && client)
		r = unix_name_bind(f, client, client->fd);
	if (r >= 0)
		r = listen_as(f, l, client ? peer_of(client) : l->listens_as);
	if (r >= 0)
		r = unix_call_connect(f, peer_of(accepted), *client_fd, l->fd);
	if (r < 0)
		return r;
	accepted->fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	return accepted->fd < 0 ? fail(f->s, errno, "%s: accept a connection",
					  open_file_label(f, accepted->o))
				: 0;
}

static int make_socketpair(struct file_set *f, struct unix_sock *u, int *other)
{
	const FermataUcred *who = peer_of(u) ? peer_of(u) : peer_of(u->peer);
	int pair[2];
	int r = unix_call_socketpair(f, who, (int)u->e->type, pair);
	if (r < 0)
		return r;
	u->fd = pair[0];
	*other = pair[1];
	return 0;
}

/* Of two ends, the one whose name is that of a listener, else one that has a name. */
static struct unix_sock *accepted_end(
	struct unix_set *set, struct unix_sock *a, struct unix_sock *b)
{
	if (unix_listener_named(set, a->e))
		return a;
	if (b && unix_listener_named(set, b->e))
		return b;
	return a->e->name.len ? a : b && b->e->name.len ? b : NULL;
}

/* --- a client that had itself dumped --- */

static bool is_service(const struct unix_sock *u)
{
	return u->e->uflags & UNIX_SERVICE;
}

static int make_service(struct file_set *f, struct unix_sock *u)
{
	int r = make_socketpair(f, u, &u->feeder);
	return r < 0 ? r : unix_name_bind(f, u, u->fd);
}

/* It waits for the answer to its request (spec/rpc.md 6), which is that it was restored. */
static int answer_client(struct file_set *f, struct unix_sock *u)
{
	CriuDumpResp dump = CRIU_DUMP_RESP__INIT;
	CriuResp resp = CRIU_RESP__INIT;
	uint8_t data[64];
	if (!is_service(u) || u->feeder < 0)
		return 0;
	dump.has_restored = dump.restored = true;
	resp.type = CRIU_REQ_TYPE__DUMP;
	resp.success = true;
	resp.dump = &dump;
	size_t size = criu_resp__pack(&resp, data);
	if (send(u->feeder, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
		return fail(f->s, errno, "%s: tell the client that it was restored",
			open_file_label(f, u->o));
	return 0;
}

static int make_stream(struct file_set *f, struct unix_sock *u)
{
	struct unix_sock *peer = u->peer;
	if (u->fd >= 0)
		return 0;
	if (is_service(u))
		return make_service(f, u);
	if (u->e->state != UNIX_ESTABLISHED || u->waits)
		return make_bound(f, u);
	if (peer && peer->peer != u)
		return fail(f->s, EBADMSG, "%s: its unix socket and the peer's do not agree",
			open_file_label(f, u->o));
	struct unix_sock *accepted = accepted_end(f->unix_socks, u, peer);
	if (accepted)
		return make_accepted(f, accepted == u ? peer : u, accepted);
	return make_socketpair(f, u, peer ? &peer->fd : &u->feeder);
}

/* --- datagram sockets --- */

static int disconnect(struct file_set *f, const struct unix_sock *u)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	if (connect(u->fd, &nobody, sizeof(nobody)) < 0)
		return fail(
			f->s, errno, "%s: disconnect its unix socket", open_file_label(f, u->o));
	return 0;
}

/* Connected by name both of them: only socketpair() leaves credentials. */
static bool was_connected_by_name(const struct unix_sock *u)
{
	return u->e->name.len && u->peer->e->name.len && !peer_of(u) && !peer_of(u->peer);
}

static int make_mutual(struct file_set *f, struct unix_sock *u)
{
	if (was_connected_by_name(u))
		return make_bound(f, u);
	int r = make_socketpair(f, u, &u->peer->fd);
	if (r >= 0)
		r = unix_name_bind(f, u, u->fd);
	if (r >= 0)
		r = unix_name_bind(f, u->peer, u->peer->fd);
	u->connected = u->peer->connected = true;
	return r;
}

/* Only a pair can have reached one without a name: its client, or one that is closed now. */
static int make_nameless(struct file_set *f, struct unix_sock *u)
{
	struct unix_sock *client = u->clients.n ? u->clients.v[0] : NULL;
	if (!client && !u->queue.n)
		return new_socket(f, u->e, &u->fd);
	int r = make_socketpair(f, u, client ? &client->fd : &u->feeder);
	if (r >= 0)
		r = disconnect(f, u);
	if (r >= 0 && client) {
		client->connected = true;
		r = unix_name_bind(f, client, client->fd);
	}
	return r;
}

static bool all_from_nobody(const struct unix_sock *u)
{
	vec_for_each (&u->queue, p)
		if (p->extra && p->extra->has_from && p->extra->from.len)
			return false;
	return true;
}

static bool peer_is_gone(const struct unix_sock *u)
{
	return u->x && u->x->has_peer_gone && u->x->peer_gone;
}

static int make_datagram(struct file_set *f, struct unix_sock *u)
{
	if (u->fd >= 0)
		return 0;
	if (u->peer && u->peer->peer == u && u->peer != u)
		return make_mutual(f, u);
	if (peer_is_gone(u) && all_from_nobody(u)) {
		int r = make_socketpair(f, u, &u->feeder);
		return r < 0 ? r : unix_name_bind(f, u, u->fd);
	}
	return u->e->name.len || u->peer == u ? make_bound(f, u) : make_nameless(f, u);
}

static bool all_from_peer(const struct unix_sock *u)
{
	const UnixSkEntry *peer = u->peer->e;
	vec_for_each (&u->queue, p)
		if (!p->extra || !p->extra->has_from || p->extra->from.len != peer->name.len ||
			memcmp(p->extra->from.data, peer->name.data, peer->name.len) != 0)
			return false;
	return true;
}

static int connect_outside(struct file_set *f, struct unix_sock *u)
{
	const UnixSkEntry *e = u->peer->e;
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	memcpy(to.sun_path, e->name.data, e->name.len);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + e->name.len);
	if (connect(u->fd, (struct sockaddr *)&to, len) < 0)
		return fail(f->s, errno, "%s: connect its unix socket to %s, outside the tree",
			open_file_label(f, u->o),
			unix_name_text(&f->s->arena, e->name.data, e->name.len));
	return 0;
}

/* Those that are connected to one must be so before it is connected to another itself. */
static int connect_datagram(struct file_set *f, struct unix_sock *u)
{
	int r = 0;
	if (u->connected || !u->peer)
		return 0;
	u->connected = true;
	for (size_t i = 0; i < u->clients.n && r >= 0; i++)
		if (u->clients.v[i] != u->peer)
			r = connect_datagram(f, u->clients.v[i]);
	if (r < 0)
		return r;
	return u->peer->outside ? connect_outside(f, u)
				: unix_call_connect(f, NULL, u->fd, u->peer->fd);
}

/* Two that are connected to each other may queue more than max_dgram_qlen. */
static int connect_early(struct file_set *f, struct unix_sock *u)
{
	if (u->e->type != SOCK_DGRAM || u->connected || !u->peer || u->peer->peer != u ||
		!all_from_peer(u) || !all_from_peer(u->peer))
		return 0;
	return connect_datagram(f, u);
}

/* --- closed peers --- */

/* A stream whose peer closed with data unread has an error to report. */
static int close_feeder(struct file_set *f, struct unix_sock *u)
{
	bool reset = u->x && u->x->has_reset && u->x->reset;
	if (u->feeder < 0)
		return 0;
	if (reset && send(u->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
		return fail(f->s, errno, "%s: have the connection reset", open_file_label(f, u->o));
	close(take_fd(&u->feeder));
	return 0;
}

/* Its name comes from the kernel (autobind) and goes with it. */
static int lose_peer(struct file_set *f, struct unix_sock *u)
{
	struct sockaddr_un any = {.sun_family = AF_UNIX};
	_cleanup_close_ int peer = -1;
	if (!peer_is_gone(u) || all_from_nobody(u))
		return 0;
	int r = new_socket(f, u->e, &peer);
	if (r >= 0 && bind(peer, (struct sockaddr *)&any, sizeof(any.sun_family)) < 0)
		r = fail(f->s, errno, "bind a unix socket");
	return r < 0 ? r : unix_call_connect(f, NULL, u->fd, peer);
}

/* --- connections that wait --- */

/* Who connected is not told before it is accepted: the process that has the socket, most likely. */
static const FermataUcred *holder_of(struct file_set *f, const struct unix_sock *u)
{
	vec_for_each (&f->tables, t)
		vec_for_each (&(*t)->slots, slot)
			if (slot->file == u->o) {
				const CredsEntry *c = leader((*t)->task)->core->thread_core->creds;
				FermataUcred *who = arena_new(&f->s->arena, FermataUcred);
				fermata_ucred__init(who);
				who->pid = (uint32_t)(*t)->task->vpid;
				who->uid = c->euid;
				who->gid = c->egid;
				who->n_groups = c->n_groups;
				who->groups = c->groups;
				return who;
			}
	return NULL;
}

static const FermataUcred *caller_of(struct file_set *f, const struct unix_sock *client)
{
	return client->closed ? client->closed->caller : holder_of(f, client);
}

static int make_waiting(struct file_set *f, struct unix_sock *l)
{
	int r = 0;
	for (size_t i = 0; i < l->waiting.n && r >= 0; i++) {
		struct unix_sock *client = l->waiting.v[i];
		r = listen_as(f, l, peer_of(client) ? peer_of(client) : peer_of(l));
		if (r >= 0 && client->closed)
			r = new_socket(f, client->e, &client->fd);
		if (r >= 0)
			r = unix_call_connect(f, caller_of(f, client), client->fd, l->fd);
		if (r >= 0)
			r = unix_send_again(f, client);
		if (client->closed && client->fd >= 0)
			close(take_fd(&client->fd));
	}
	return r < 0 ? r : unix_call_listen(f, peer_of(l), l->fd, (int)l->e->backlog);
}

/* --- all of it --- */

static int make_listener(struct file_set *f, struct unix_sock *u)
{
	int r = u->e->state == UNIX_LISTEN ? make_bound(f, u) : 0;
	return r < 0 || u->e->state != UNIX_LISTEN ? r : listen_as(f, u, peer_of(u));
}

static int make_by_plugin(struct file_set *f, struct unix_sock *u)
{
	int fd = plugin_restore_unix_sk(f->s, u->e->ino);
	if (fd < 0)
		return fail(f->s, fd, "%s: no plugin could connect its unix socket (inode %u)",
			open_file_label(f, u->o), u->e->ino);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	u->fd = fd;
	u->connected = true;
	return 0;
}

static int make_one(struct file_set *f, struct unix_sock *u)
{
	if (u->e->uflags & UNIX_CALLBACK)
		return make_by_plugin(f, u);
	return u->e->type == SOCK_DGRAM ? make_datagram(f, u) : make_stream(f, u);
}

static int finish_listener(struct file_set *f, struct unix_sock *u)
{
	return u->e->state == UNIX_LISTEN ? make_waiting(f, u) : 0;
}

static int connect_one(struct file_set *f, struct unix_sock *u)
{
	if (u->e->uflags & UNIX_CALLBACK)
		return 0;
	int r = u->e->type == SOCK_DGRAM ? connect_datagram(f, u) : 0;
	if (r >= 0 && u->e->type == SOCK_DGRAM && u->feeder < 0)
		r = lose_peer(f, u);
	return r;
}

static int set_options(struct file_set *f, struct unix_sock *u)
{
	int r = sk_opts_restore(f, u->o, u->e->opts, u->fd);
	if (r >= 0 && u->e->has_shutdown)
		r = sk_shutdown(f, u->o, u->e->shutdown, u->fd);
	int fd; /* flags, which file_get() sets */
	return r < 0 ? r : file_get(f, u->o, &fd);
}

static int each(struct file_set *f, int (*fn)(struct file_set *f, struct unix_sock *u))
{
	int r = 0;
	vec_for_each (&f->unix_socks->all, u)
		if (!(*u)->outside && r >= 0)
			r = fn(f, *u);
	return r;
}

/* Ours to close from here on, whatever happens. */
static int hand_over(struct file_set *f, struct unix_sock *u)
{
	(void)f;
	u->o->fd = u->fd;
	return 0;
}

int unix_make_all(struct file_set *f)
{
	static int (*const stages[])(struct file_set * f, struct unix_sock * u) = {connect_early,
		unix_queue_feed, answer_client, connect_one, close_feeder, finish_listener,
		set_options};
	struct unix_set *set = f->unix_socks;
	if (!set || set->made)
		return 0;
	set->made = true;
	int r = each(f, make_listener);
	if (r >= 0)
		r = each(f, make_one);
	int handed = each(f, hand_over);
	for (size_t i = 0; i < sizeof(stages) / sizeof(*stages) && r >= 0; i++)
		r = each(f, stages[i]);
	unix_close_helpers(set);
	return r < 0 ? r : handed;
}
