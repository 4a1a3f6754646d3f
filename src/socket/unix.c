/*
 * Unix sockets (unix(7)): the file type, and its dump.
 *
 * Who is connected to whom and what is bound is asked once of sock_diag (unix_diag.c); the rest
 * of the controller's copy of each socket.  Names are in unix_names.c, queues in unix_queue.c,
 * peers in unix_peers.c, credentials of peers in unix_caller.c.  At restore sockets depend on each
 * other in every way, also through files in their queues, so all are made together
 * (unix_restore.c) before any task gets one.
 *
 * Reading takes nothing out and changes nothing, with one exception that is put back: SO_PEEK_OFF,
 * of sockets with more than one message in their queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "plugin/plugin.h"
#include "socket/unix.h"

static bool unix_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return socket_family(v) == AF_UNIX;
}

FermataUnixSk *unix_extra_make(struct file_dump *d, struct dumped_file *f)
{
	FermataFileEntry *extra = file_extra_make(d, f);
	if (!extra->unix_sk) {
		extra->unix_sk = arena_new(&d->s->arena, FermataUnixSk);
		fermata_unix_sk__init(extra->unix_sk);
	}
	return extra->unix_sk;
}

/* 0: there; otherwise a negative errno, or a blocker and 1. */
static int find_info(struct file_dump *d, const struct file_view *v, struct unix_info **ret)
{
	struct unix_dump *all = d->unix_socks;
	if (!all) {
		all = arena_new(&d->s->arena, struct unix_dump);
		int r = unix_table_read(d->s, &all->table);
		if (r == -ENOENT) {
			view_block(d, v, "load the kernel module unix_diag",
				"a unix socket, about which this kernel tells nothing");
			return 1;
		}
		if (r < 0)
			return r;
		d->unix_socks = all;
	}
	*ret = id_map_get(&all->table->by_ino, (uint32_t)v->st.stx_ino);
	if (*ret)
		return 0;
	view_block(d, v, NULL, "the unix socket %s is of another network namespace", v->link);
	return 1;
}

static bool is_known_kind(const struct unix_info *info)
{
	return (info->type == SOCK_STREAM || info->type == SOCK_DGRAM ||
		       info->type == SOCK_SEQPACKET) &&
	       (info->state == UNIX_ESTABLISHED || info->state == UNIX_CLOSE ||
		       info->state == UNIX_LISTEN);
}

/* What poll(2) tells without disturbing anything: input, an urgent byte, an error to report. */
static void look_at_events(struct file_dump *d, const struct file_view *v, struct unix_dumped *u)
{
	int events = view_poll(d, v, POLLIN | POLLPRI);
	u->has_input = events & POLLIN && u->info->state != UNIX_LISTEN;
	if (events & POLLPRI)
		unix_block(d, u, "let the program receive it",
			"has an urgent byte (MSG_OOB) in its queue");
	if (events & POLLERR && u->info->type == SOCK_STREAM) {
		FermataUnixSk *x = unix_extra_make(d, u->f);
		x->has_reset = x->reset = true;
	} else if (events & POLLERR) {
		/* receiving, also to look, would take it off */
		unix_block(d, u, "let the program receive it", "has an error to report");
	}
}

static int fill_entry(struct file_dump *d, struct file_view *v, struct unix_dumped *u)
{
	UnixSkEntry *e = u->e;
	const struct unix_info *info = u->info;
	unix_sk_entry__init(e);
	e->id = u->f->id;
	e->ino = info->ino;
	e->type = info->type;
	e->state = info->state;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	e->backlog = info->out_bytes;
	e->peer = info->peer;
	e->has_shutdown = info->shutdown != 0;
	e->shutdown = info->shutdown;
	const TaskKobjIdsEntry *ids = v->from.task->ids;
	e->has_ns_id = ids && ids->has_net_ns_id;
	e->ns_id = e->has_ns_id ? ids->net_ns_id : 0;
	int r = fown_dump(d, v, &e->fown);
	if (r >= 0)
		r = sk_opts_dump(d, v, u->f, &e->opts);
	if (r >= 0)
		r = unix_name_dump(d, v, u);
	if (r >= 0)
		unix_peercred_dump(d, v, u->f);
	return r;
}

static int unix_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	struct unix_info *info;
	UnixSkEntry *e = arena_new(&d->s->arena, UnixSkEntry);
	f->detail = e;
	int r = find_info(d, v, &info);
	if (r)
		return r < 0 ? r : 0;
	struct unix_dumped *u = arena_new(&d->s->arena, struct unix_dumped);
	*u = (struct unix_dumped){.info = info, .f = f, .e = e, .from = v->from};
	if (!is_known_kind(info)) {
		unix_block(d, u, NULL, "is of type %u in state %u, which is not supported",
			info->type, info->state);
		return 0;
	}
	r = fill_entry(d, v, u);
	if (r < 0)
		return r;
	look_at_events(d, v, u);
	info->dumped = u;
	*vec_push(&d->s->arena, &d->unix_socks->socks) = u;
	return 0;
}

/* Queues may hold further sockets, which have queues. */
static int unix_complete(struct file_dump *d)
{
	struct unix_dump *all = d->unix_socks;
	int r = 0;
	if (!all)
		return 0;
	for (size_t i = 0; i < all->socks.n && r >= 0; i++)
		r = unix_queue_look(d, all->socks.v[i]);
	return r < 0 ? r : unix_peers_dump(d);
}

/* --- restore --- */

static int unix_check(struct file_set *f, struct open_file *o)
{
	const UnixSkEntry *e = o->e->usk;
	bool extern_peer = e->uflags & UNIX_EXTERN;
	o->flags = e->flags;
	o->fown = e->fown;
	if (e->uflags & UNIX_CALLBACK && plugins_may_run(f->s) &&
		!plugins_have(f->s, CR_PLUGIN_HOOK__RESTORE_UNIX_SK))
		return fail_remedy(f->s, ENOTSUP, "name the plugin's directory with --libdir",
			"%s: a plugin has to connect this unix socket, and none is here that could",
			open_file_label(f, o));
	if ((e->type != SOCK_STREAM && e->type != SOCK_DGRAM && e->type != SOCK_SEQPACKET) ||
		(e->state != UNIX_ESTABLISHED && e->state != UNIX_CLOSE &&
			e->state != UNIX_LISTEN) ||
		(!e->ino && !extern_peer) || (uint32_t)e->shutdown > SK_SHUTDOWN__BOTH)
		return fail(f->s, EBADMSG, "%s: the unix socket in its image is not sane",
			open_file_label(f, o));
	return extern_peer ? 0 : sk_opts_check(f, o, e->opts);
}

static const char *unix_inherit_key(struct file_set *f, const struct open_file *o)
{
	return arena_printf(&f->s->arena, "socket:[%u]", o->e->usk->ino);
}

static int unix_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	int r = unix_make_all(f);
	*ret_fd = o->fd;
	return r < 0 || o->fd >= 0 ? r
				   : fail(f->s, EBADMSG, "%s: nothing made its unix socket",
					     open_file_label(f, o));
}

const struct file_type unix_type = {
	.type = FD_TYPES__UNIXSK,
	.name = "unix socket",
	.restored = "stream, datagram, seqpacket; names, queues with descriptors and "
		"credentials, connections not yet accepted; peers outside with "
		"`--external unix[...]`, `--ext-unix-sk` or a plugin",
	.limits = "files sent before accept(2), unless `--skip-in-flight`; sockets "
		  "of other network namespaces; eBPF filters",
	.detail = offsetof(FileEntry, usk),
	.recognize = unix_recognize,
	.collect = unix_collect,
	.complete = unix_complete,
	.check = unix_check,
	.inherit_key = unix_inherit_key,
	.create = unix_create,
};
