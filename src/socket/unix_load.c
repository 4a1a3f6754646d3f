/*
 * Unix sockets of the images, before anything is forked: who belongs to whom, and whether the names
 * are free.
 */
#include <errno.h>
#include <string.h>

#include "socket/unix.h"

static void add(struct file_set *f, struct open_file *o)
{
	struct unix_set *set = f->unix_socks;
	struct unix_sock *u = arena_new(&f->s->arena, struct unix_sock);
	*u = (struct unix_sock){.o = o, .e = o->e->usk, .fd = -1, .feeder = -1};
	u->outside = u->e->uflags & UNIX_EXTERN || o->inherited >= 0;
	u->x = o->extra ? o->extra->unix_sk : NULL;
	id_map_put(&f->s->arena, &set->by_id, o->id, u);
	id_map_put(&f->s->arena, &set->by_ino, u->e->ino, u);
	*vec_push(&f->s->arena, &set->all) = u;
}

/* The client of a connection that waits to be accepted names its listener as peer. */
static bool waits_for(const struct unix_sock *u, const struct unix_sock *peer)
{
	return peer->e->state == UNIX_LISTEN && u->e->type != SOCK_DGRAM &&
	       !(peer->e->uflags & UNIX_EXTERN);
}

static int no_way_outside(struct file_set *f, const struct unix_sock *u)
{
	const UnixSkEntry *peer = u->peer->e;
	bool by_name = u->e->type == SOCK_DGRAM && peer->name.len &&
		       (peer->name.data[0] == '/' || !peer->name.data[0]);
	if (by_name && f->s->opt->ext_unix_sk) {
		char *path = arena_alloc(&f->s->arena, peer->name.len + 1);
		memcpy(path, peer->name.data, peer->name.len);
		if (!*path || unix_path_has_owner(path))
			return 0;
		return fail(f->s, ECONNREFUSED,
			"%s: its unix socket was connected to %s, outside the tree, which is not "
			"there",
			open_file_label(f, u->o), path);
	}
	const char *key = arena_printf(&f->s->arena, "use --inherit-fd 'fd[N]:socket:[%u]'%s",
		u->e->ino, by_name ? ", or --ext-unix-sk to connect it again" : "");
	return fail_remedy(f->s, ENOTCONN, key,
		"%s: its unix socket was connected to one outside the tree, %s",
		open_file_label(f, u->o),
		unix_name_text(&f->s->arena, peer->name.data, peer->name.len));
}

static int link_peer(struct file_set *f, struct unix_sock *u)
{
	if (!u->e->peer || u->outside || u->e->uflags & UNIX_CALLBACK)
		return 0;
	struct unix_sock *peer = id_map_get(&f->unix_socks->by_ino, u->e->peer);
	if (!peer)
		return fail(f->s, EBADMSG, "%s: the peer of its unix socket (inode %u) is missing",
			open_file_label(f, u->o), u->e->peer);
	u->peer = peer;
	if (peer->e->uflags & UNIX_EXTERN)
		return no_way_outside(f, u);
	if (peer->outside)
		return fail_remedy(f->s, ENOTCONN,
			arena_printf(
				&f->s->arena, "use --inherit-fd for socket:[%u], too", u->e->ino),
			"%s: the peer of its unix socket is replaced", open_file_label(f, u->o));
	if (waits_for(u, peer)) {
		*vec_push(&f->s->arena, &peer->waiting) = u;
		u->peer = NULL;
		u->waits = true;
		return 0;
	}
	if (u->e->type != peer->e->type)
		return fail(f->s, EBADMSG, "%s: the peer of its unix socket is of another type",
			open_file_label(f, u->o));
	*vec_push(&f->s->arena, &peer->clients) = u;
	return 0;
}

/* A client that is closed again, to be made for the moment. */
static struct unix_sock *closed_client(
	struct file_set *f, const struct unix_sock *listener, const FermataUnixClosed *closed)
{
	UnixSkEntry *e = arena_new(&f->s->arena, UnixSkEntry);
	FermataUnixSk *x = arena_new(&f->s->arena, FermataUnixSk);
	struct unix_sock *u = arena_new(&f->s->arena, struct unix_sock);
	unix_sk_entry__init(e);
	fermata_unix_sk__init(x);
	e->type = listener->e->type;
	x->sent = closed->sent;
	x->n_sent = closed->n_sent;
	*u = (struct unix_sock){
		.o = listener->o, .e = e, .x = x, .closed = closed, .fd = -1, .feeder = -1};
	return u;
}

static void bring_forward(struct unix_sock *u, size_t from, size_t to)
{
	struct unix_sock *found = u->waiting.v[from];
	for (; from > to; from--)
		u->waiting.v[from] = u->waiting.v[from - 1];
	u->waiting.v[to] = found;
}

/* In the order that they came in, where that is known. */
static int sort_waiting(struct file_set *f, struct unix_sock *u)
{
	size_t at = 0, n_closed = 0;
	for (size_t k = 0; u->x && k < u->x->n_waiting; k++) {
		uint32_t ino = u->x->waiting[k];
		size_t i = at;
		if (!ino && n_closed == u->x->n_closed)
			return fail(f->s, EBADMSG,
				"%s: connections to accept are missing in its image",
				open_file_label(f, u->o));
		if (!ino) {
			i = u->waiting.n;
			*vec_push(&f->s->arena, &u->waiting) =
				closed_client(f, u, u->x->closed[n_closed++]);
		}
		while (ino && i < u->waiting.n && u->waiting.v[i]->e->ino != ino)
			i++;
		if (i < u->waiting.n)
			bring_forward(u, i, at++);
	}
	return 0;
}

struct unix_sock *unix_listener_named(struct unix_set *set, const UnixSkEntry *e)
{
	vec_for_each (&set->all, u)
		if ((*u)->e->state == UNIX_LISTEN && !(*u)->outside && unix_same_name((*u)->e, e))
			return *u;
	vec_for_each (&set->listeners, u)
		if (unix_same_name((*u)->e, e))
			return *u;
	return NULL;
}

static bool binds_name(struct file_set *f, const struct unix_sock *u)
{
	return !u->outside && !(u->e->uflags & UNIX_CALLBACK) && u->e->name.len &&
	       (u->e->type == SOCK_DGRAM || u->e->state != UNIX_ESTABLISHED ||
		       !unix_listener_named(f->unix_socks, u->e));
}

static int read_taken(struct file_set *f)
{
	struct unix_set *set = f->unix_socks;
	if (f->s->images_only)
		return 0;
	vec_for_each (&set->all, u)
		if (binds_name(f, *u) && !(*u)->e->name.data[0]) {
			int r = unix_table_read(f->s, &set->taken);
			return r == -ENOENT ? 0 : r; /* then bind() will tell */
		}
	return 0;
}

int unix_load_queues(struct file_set *f)
{
	vec_for_each (&f->all, o)
		if ((*o)->e->type == FD_TYPES__UNIXSK && (*o)->type) {
			if (!f->unix_socks) {
				f->unix_socks = arena_new(&f->s->arena, struct unix_set);
				f->unix_socks->queues = -1;
			}
			add(f, *o);
		}
	return f->unix_socks ? unix_queue_load(f) : 0;
}

int unix_load(struct file_set *f)
{
	struct unix_set *set = f->unix_socks;
	int r = 0;
	for (size_t i = 0; set && i < set->all.n && r >= 0; i++)
		r = postpone(f->s, link_peer(f, set->all.v[i]));
	for (size_t i = 0; set && i < set->all.n && r >= 0; i++)
		r = postpone(f->s, sort_waiting(f, set->all.v[i]));
	if (set && r >= 0)
		r = postpone(f->s, read_taken(f));
	for (size_t i = 0; set && i < set->all.n && r >= 0; i++)
		if (binds_name(f, set->all.v[i]))
			r = postpone(f->s, unix_name_check(f, set->all.v[i]));
	for (size_t i = 0; set && i < set->all.n && r >= 0; i++)
		if (!set->all.v[i]->outside)
			r = postpone(f->s, unix_queue_check(f, set->all.v[i]));
	return r;
}

void unix_release(struct file_set *f)
{
	struct unix_set *set = f->unix_socks;
	if (!set)
		return;
	unix_close_helpers(set);
	vec_for_each (&set->all, u)
		if ((*u)->feeder >= 0)
			close(take_fd(&(*u)->feeder));
	if (set->queues >= 0)
		close(take_fd(&set->queues));
}

void unix_close_helpers(struct unix_set *set)
{
	vec_for_each (&set->senders, u)
		if ((*u)->fd >= 0)
			close(take_fd(&(*u)->fd));
	vec_for_each (&set->listeners, u)
		if ((*u)->fd >= 0)
			close(take_fd(&(*u)->fd));
}
