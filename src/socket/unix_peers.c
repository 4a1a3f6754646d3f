/*
 * Who a unix socket is connected to: looked at once all sockets of the tree are known.
 *
 *	peer in the tree            its inode in the image
 *	client of a connection      the listener's inode; the listener keeps their order (waiting).
 *	that waits to be accepted   What the client has sent by now is kept if the kernel lets us
 *				    see it (unix_pending.c); refused, or reset by --skip-in-flight
 *	this tool                   of a client in the tree: says so, closed, no peer
 *	peer closed                 streams are shut down both ways and have none; datagram sockets
 *	                            go on failing until they notice (peer_gone)
 *	peer outside the tree       a plugin may take the socket; or, with --external unix[INO], or
 *--ext-unix-sk if it is a datagram socket with a name: an entry of its own that says so
 */
#include "socket/unix.h"

#include <string.h>

#include "base/cleanup.h"
#include "kernel/proc_holder.h"
#include "plugin/plugin.h"

static const char *name_of(struct file_dump *d, const struct unix_info *info)
{
	return unix_name_text(&d->s->arena, info->name, info->name_len);
}

/* --- outside --- */

/* A walk through /proc for each of thousands would keep the tree stopped for long. */
enum { NAMED_HOLDERS = 10 };

static bool is_reachable_by_name(const struct unix_info *peer)
{
	/* a relative path leads nowhere from here */
	return peer->type == SOCK_DGRAM && peer->name_len &&
	       (peer->name[0] == '/' || peer->name[0] == '\0');
}

static bool may_be_external(
	struct file_dump *d, const struct unix_info *u, const struct unix_info *peer)
{
	return external_find(d->s->opt, NULL, "unix[%u]", u->ino) ||
	       (peer && external_find(d->s->opt, NULL, "unix[%u]", peer->ino)) ||
	       (peer && d->s->opt->ext_unix_sk && is_reachable_by_name(peer));
}

static void add_external(struct file_dump *d, struct unix_dumped *u, struct unix_info *peer)
{
	static const SkOptsEntry no_opts = SK_OPTS_ENTRY__INIT;
	if (peer->external)
		return;
	peer->external = true;
	struct dumped_file *f = file_dump_new(d, FD_TYPES__UNIXSK);
	UnixSkEntry *e = arena_new(&d->s->arena, UnixSkEntry);
	f->detail = e;
	unix_sk_entry__init(e);
	e->id = f->id;
	e->ino = peer->ino;
	e->type = SOCK_DGRAM;
	e->state = UNIX_LISTEN;
	e->uflags = UNIX_EXTERN;
	e->fown = (FownEntry *)(uintptr_t)d->nobody;
	e->opts = (SkOptsEntry *)(uintptr_t)&no_opts;
	e->name.len = peer->name_len;
	e->name.data = (uint8_t *)(uintptr_t)peer->name;
	e->has_ns_id = u->e->has_ns_id;
	e->ns_id = u->e->ns_id;
	*vec_push(&d->s->arena, &d->files) = f;
}

/*
 * Its connection is the plugin's to make again.  What its peer sent has no way into such a socket.
 * Returns whether that is so.
 */
static int ask_plugins(struct file_dump *d, struct unix_dumped *u)
{
	if (d->dry || u->from.number < 0 || !plugins_have(d->s, CR_PLUGIN_HOOK__DUMP_UNIX_SK))
		return 0;
	_cleanup_close_ int fd = source_take(d, &u->from);
	if (fd < 0)
		return fd;
	int r = plugin_dump_unix_sk(d->s, fd, u->info->ino);
	if (r == -ENOTSUP)
		return 0;
	if (r < 0)
		return fail(d->s, r, "%s: a plugin could not dump the unix socket (inode %u)",
			source_label(d, &u->from), u->info->ino);
	u->e->uflags |= UNIX_CALLBACK;
	if (u->packets.n)
		unix_block(d, u, "let the program read it",
			"(inode %u) has unread data, and a plugin connects it", u->info->ino);
	return 1;
}

static int peer_outside(struct file_dump *d, struct unix_dumped *u, struct unix_info *peer)
{
	int taken = ask_plugins(d, u);
	if (taken)
		return taken < 0 ? taken : 0;
	if (may_be_external(d, u->info, peer)) {
		add_external(d, u, peer);
		return 0;
	}
	const char *remedy =
		is_reachable_by_name(peer)
			? "use --ext-unix-sk"
			: arena_printf(&d->s->arena, "use --external unix[%u]", u->info->ino);
	const char *link = arena_printf(&d->s->arena, "socket:[%u]", peer->ino);
	pid_t holder = d->s->blockers.n < NAMED_HOLDERS ? proc_find_holder(link, 0, 0) : 0;
	unix_block(d, u, remedy,
		"(inode %u) is connected to a socket %s (inode %u)%s outside the tree",
		u->info->ino, name_of(d, peer), peer->ino,
		holder ? arena_printf(&d->s->arena, " of process %d", holder) : "");
	return 0;
}

/* --- connections that wait to be accepted --- */

static struct unix_info *listener_of(struct file_dump *d, uint32_t client)
{
	vec_for_each (&d->unix_socks->table->all, u)
		for (size_t i = 0; i < (*u)->n_waiting; i++)
			if ((*u)->waiting[i] == client)
				return *u;
	return NULL;
}

/* What was sent on it is lost, so it is, too. */
static bool is_dropped(const struct file_dump *d, const struct unix_info *client)
{
	return client->out_bytes && !client->sent_is_known && d->s->opt->skip_in_flight;
}

static void drop_client(struct file_dump *d, struct unix_dumped *u)
{
	FermataUnixSk *x = unix_extra_make(d, u->f);
	x->has_reset = x->reset = true;
	u->e->has_shutdown = true;
	u->e->shutdown = SK_SHUTDOWN__BOTH;
}

static int check_client(struct file_dump *d, struct unix_dumped *u)
{
	struct unix_info *listener = listener_of(d, u->info->ino);
	if (!listener && u->info->shutdown == SK_SHUTDOWN__BOTH)
		return 0; /* the other end was closed */
	if (!listener)
		unix_block(d, u, NULL, "is connected to a socket that cannot be found");
	else if (!listener->dumped)
		return peer_outside(d, u, listener);
	else if (is_dropped(d, u->info))
		drop_client(d, u);
	else if (u->info->out_bytes && !u->info->sent_is_known)
		unix_block(d, u,
			"let the other side accept it, or use --skip-in-flight to reset it",
			"has sent data on a connection that is not accepted yet");
	else
		u->e->peer = listener->ino;
	return 0;
}

static void check_listener(struct file_dump *d, struct unix_dumped *u)
{
	const struct unix_info *info = u->info;
	struct arena *a = &d->s->arena;
	if (!info->n_waiting)
		return;
	FermataUnixSk *x = unix_extra_make(d, u->f);
	x->waiting = arena_array(a, uint32_t, info->n_waiting);
	x->closed = arena_array(a, FermataUnixClosed *, info->n_waiting);
	for (size_t i = 0; i < info->n_waiting; i++) {
		uint32_t ino = info->waiting[i];
		const struct unix_info *client = id_map_get(&d->unix_socks->table->by_ino, ino);
		bool skip = d->s->opt->skip_in_flight;
		if (info->closed && info->closed[i]) {
			x->waiting[x->n_waiting++] = 0;
			x->closed[x->n_closed++] = info->closed[i];
			continue;
		}
		if ((!ino && skip) || (client && client->dumped && is_dropped(d, client)))
			continue;
		if (client && client->dumped)
			x->waiting[x->n_waiting++] = ino;
		else if (!ino)
			unix_block(d, u, "let the program accept it, or use --skip-in-flight",
				"has a connection to accept that its client has closed again");
		else if (!may_be_external(d, info, NULL))
			unix_block(d, u,
				arena_printf(a, "use --external unix[%u] to drop it", info->ino),
				"(inode %u) has a connection to accept from outside the tree",
				info->ino);
	}
}

/* --- */

/*
 * The connection of a client that has itself dumped: closed by the time of a restore, which leaves
 * it an answer.  Its peer was this tool or its service, which will be no more.
 */
static void mark_service(struct unix_dumped *u)
{
	u->e->uflags |= UNIX_SERVICE;
	u->e->state = UNIX_CLOSE;
	u->e->peer = 0;
	if (u->f->extra && u->f->extra->unix_sk)
		u->f->extra->unix_sk->peer = NULL;
}

static int check_peer(struct file_dump *d, struct unix_dumped *u)
{
	const struct unix_info *info = u->info;
	struct unix_info *peer =
		info->peer ? id_map_get(&d->unix_socks->table->by_ino, info->peer) : NULL;
	if (info->peer && info->peer == d->s->client_socket)
		mark_service(u);
	else if (peer && !peer->dumped)
		return peer_outside(d, u, peer);
	else if (info->peer && !peer)
		unix_block(d, u, NULL, "is connected to a socket that cannot be found (inode %u)",
			info->peer);
	else if (!info->peer && info->has_peer && info->type == SOCK_DGRAM) {
		FermataUnixSk *x = unix_extra_make(d, u->f);
		x->has_peer_gone = x->peer_gone = true;
	} else if (!info->peer && info->state == UNIX_ESTABLISHED && info->type != SOCK_DGRAM) {
		return check_client(d, u);
	}
	return 0;
}

int unix_peers_dump(struct file_dump *d)
{
	const struct unix_dump *all = d->unix_socks;
	int r = 0;
	for (size_t i = 0; i < all->socks.n && r >= 0; i++)
		r = unix_pending_look(d, all->socks.v[i]);
	for (size_t i = 0; i < all->socks.n && r >= 0; i++) {
		if (all->socks.v[i]->info->state == UNIX_LISTEN)
			check_listener(d, all->socks.v[i]);
		else
			r = check_peer(d, all->socks.v[i]);
	}
	return r;
}
