/*
 * What clients have sent on connections that are not accepted yet.
 *
 * Nobody has a descriptor of the other end before accept(2), which cannot be taken back; so the
 * kernel's memory is read.  The queue of a listener has one message for each connection; it leads
 * to the other end, whose queue has what the client has sent.
 *
 * With each message go the credentials of its sender, which the kernel keeps as nobody can tell yet
 * whether the receiver wants them.  Messages with files are left to the caller, which refuses.  At
 * restore the client sends it all again.
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

static void look_at_client(
	struct looking *l, struct unix_info *client, const struct sock_message *connection)
{
	sock_message_vec queue = {0};
	uint64_t other_end = sock_message_owner(l->m, connection);
	if (!other_end || !sock_queue(l->m, other_end, &queue))
		return;
	FermataUnixSent **all = arena_array(&l->d->s->arena, FermataUnixSent *, queue.n);
	for (size_t i = 0; i < queue.n; i++) {
		all[i] = read_message(l, &queue.v[i]);
		if (!all[i])
			return;
		l->d->predicted += queue.v[i].len;
	}
	FermataUnixSk *x = unix_extra_make(l->d, client->dumped->f);
	x->sent = all;
	x->n_sent = queue.n;
	client->sent_is_known = true;
}

static struct unix_info *has_sent(
	const struct file_dump *d, const struct unix_info *listener, size_t i)
{
	struct unix_info *client = id_map_get(&d->unix_socks->table->by_ino, listener->waiting[i]);
	return client && client->dumped && client->out_bytes ? client : NULL;
}

static bool anybody_has_sent(const struct file_dump *d, const struct unix_info *listener)
{
	for (size_t i = 0; i < listener->n_waiting; i++)
		if (has_sent(d, listener, i))
			return true;
	return false;
}

int unix_pending_look(struct file_dump *d, struct unix_dumped *u)
{
	const struct unix_info *info = u->info;
	if (!anybody_has_sent(d, info))
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
	for (size_t i = 0; i < info->n_waiting; i++) {
		struct unix_info *client = has_sent(d, info, i);
		if (client)
			look_at_client(&l, client, &connections.v[i]);
	}
	return 0;
}
