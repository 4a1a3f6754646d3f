/*
 * What clients have sent on connections that are not accepted yet.
 *
 * Nobody has a descriptor of the other end before accept(2), which cannot be taken back; so the
 * kernel's memory is read.  The queue of a listener has one message for each connection; it leads
 * to the other end, whose queue has what the client has sent.
 *
 * With each message go the credentials of its sender, which the kernel keeps as nobody can tell yet
 * whether the receiver wants them.  Messages with files are left to the caller, which refuses.  At
 * restore the client sends it all again.  One that is closed again, which nobody has any more, is
 * made once more for that, and closed.
 */
#include "base/cleanup.h"
#include "socket/unix_kernel.h"

struct looking {
	struct file_dump *d;
	struct unix_kernel *k;
	struct sock_memory *m;
};

static FermataUnixSent *read_message(struct looking *l, const struct sock_message *m)
{
	struct arena *a = &l->d->s->arena;
	if (unix_kernel_is_odd(l->k, m))
		return NULL;
	FermataUnixSent *sent = arena_new(a, FermataUnixSent);
	fermata_unix_sent__init(sent);
	sent->data = (ProtobufCBinaryData){m->len, arena_alloc(a, m->len + !m->len)};
	sent->creds = unix_kernel_creds(l->k, m);
	return sock_message_read(l->m, m, 0, sent->data.data, m->len) ? sent : NULL;
}

/* NULL: not all of it can be read. */
static FermataUnixSent **read_all(struct looking *l, uint64_t other_end, size_t *ret_n)
{
	sock_message_vec queue = {0};
	if (!other_end || unix_kernel_has_urgent(l->k, other_end) ||
		!sock_queue(l->m, other_end, &queue))
		return NULL;
	FermataUnixSent **all = arena_array(&l->d->s->arena, FermataUnixSent *, queue.n + !queue.n);
	for (size_t i = 0; i < queue.n; i++) {
		all[i] = read_message(l, &queue.v[i]);
		if (!all[i])
			return NULL;
		l->d->predicted += queue.v[i].len;
	}
	*ret_n = queue.n;
	return all;
}

static void look_at_client(
	struct looking *l, struct unix_info *client, const struct sock_message *connection)
{
	size_t n;
	FermataUnixSent **all = read_all(l, sock_message_owner(l->m, connection), &n);
	if (!all)
		return;
	FermataUnixSk *x = unix_extra_make(l->d, client->dumped->f);
	x->sent = all;
	x->n_sent = n;
	client->sent_is_known = true;
}

static FermataUnixClosed *look_at_closed(struct looking *l, const struct sock_message *connection)
{
	FermataUnixClosed *closed = arena_new(&l->d->s->arena, FermataUnixClosed);
	uint64_t other_end = sock_message_owner(l->m, connection);
	fermata_unix_closed__init(closed);
	if (!other_end || !unix_kernel_can_go_on(l->k, other_end))
		return NULL;
	closed->caller = unix_kernel_caller(l->k, other_end);
	closed->sent = read_all(l, other_end, &closed->n_sent);
	return closed->caller && closed->sent ? closed : NULL;
}

static struct unix_info *has_sent(
	const struct file_dump *d, const struct unix_info *listener, size_t i)
{
	struct unix_info *client = id_map_get(&d->unix_socks->table->by_ino, listener->waiting[i]);
	return client && client->dumped && client->out_bytes ? client : NULL;
}

static bool is_of_interest(const struct file_dump *d, const struct unix_info *listener)
{
	for (size_t i = 0; i < listener->n_waiting; i++)
		if (!listener->waiting[i] || has_sent(d, listener, i))
			return true;
	return false;
}

int unix_pending_look(struct file_dump *d, struct unix_dumped *u)
{
	struct unix_info *info = u->info;
	if (!is_of_interest(d, info))
		return 0;
	struct looking l = {.d = d, .k = unix_kernel_get(d), .m = sock_memory_get(d)};
	if (!l.k)
		return 0;
	_cleanup_close_ int fd = source_take(d, &u->from);
	if (fd < 0)
		return fd;
	sock_message_vec connections = {0};
	uint64_t listener = sock_find(l.m, fd);
	/* sock_diag listed them in the same order */
	if (!listener || !sock_queue(l.m, listener, &connections) ||
		connections.n != info->n_waiting)
		return 0;
	info->closed = arena_array(&d->s->arena, FermataUnixClosed *, info->n_waiting);
	for (size_t i = 0; i < info->n_waiting; i++) {
		struct unix_info *client = has_sent(d, info, i);
		if (!info->waiting[i])
			info->closed[i] = look_at_closed(&l, &connections.v[i]);
		else if (client)
			look_at_client(&l, client, &connections.v[i]);
	}
	return 0;
}
