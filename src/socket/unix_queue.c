/*
 * What is queued in unix sockets: sk-queues.img.
 *
 * A queue is a row of messages: of a stream socket as many bytes as one recvmsg() would return, of
 * others a packet, which may be empty.  With a message go files (SCM_RIGHTS), the credentials of
 * the sender (SCM_CREDENTIALS, if SO_PASSCRED is on) and, of datagram sockets, the sender's name.
 *
 * Dump: recvmsg(MSG_PEEK), with SO_PEEK_OFF moving from one message to the next; first to learn
 * lengths and files, again to copy the bytes once the verdict is known.  Files are dumped like
 * those of a task: peeking gives descriptors of the very files.
 *
 * An empty packet is shown only once that way (net/core/datagram.c marks it), be it to a dump
 * before.  So empty ones are taken from the kernel's own list (unix_kernel.h).  Where that may not
 * be read, one that stands first and was shown before is noticed, and refused.
 *
 * Restore is in unix_feed.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "socket/unix_kernel.h"
#include "socket/unix_peek.h"

static int queue_changed(struct file_dump *d, const struct unix_dumped *u)
{
	return fail(d->s, EAGAIN, "pid %d %s: its queue changed while it was read",
		u->from.task->vpid, source_label(d, &u->from));
}

/* --- the first time: lengths, files, senders --- */

/* An open file that only the controller has a descriptor of. */
static int dump_file(struct file_dump *d, struct unix_dumped *u, int *fd, uint32_t *ret_id)
{
	struct task *stand_in = arena_new(&d->s->arena, struct task);
	*stand_in = *u->from.task;
	stand_in->pid = getpid();
	struct file_source from = {.task = stand_in,
		.number = *fd,
		.label = arena_printf(
			&d->s->arena, "%s: a file in its queue", source_label(d, &u->from))};
	struct file_view v = {.from = from, .fd = *fd};
	struct dumped_file *f;
	int r = file_examine(d, &v);
	if (r >= 0)
		r = file_dump_view(d, &v, &f);
	if (r < 0)
		return r;
	*ret_id = f->id;
	if (f->from.task == stand_in) /* met first here: it will be asked for again */
		*vec_push(&d->s->arena, &d->kept) = take_fd(fd);
	return 0;
}

static FermataUnixPacket *packet_extra(struct file_dump *d, struct unix_dumped *u)
{
	struct arena *a = &d->s->arena;
	FermataUnixSk *x = unix_extra_make(d, u->f);
	uint32_t index = (uint32_t)u->packets.n;
	if (x->n_packets && x->packets[x->n_packets - 1]->index == index)
		return x->packets[x->n_packets - 1];
	FermataUnixPacket *p = arena_new(a, FermataUnixPacket);
	fermata_unix_packet__init(p);
	p->index = index;
	size_t n = x->n_packets;
	if (!(n & (n - 1))) { /* doubles */
		FermataUnixPacket **all = arena_array(a, FermataUnixPacket *, n ? 2 * n : 1);
		if (n)
			memcpy(all, x->packets, n * sizeof(*all));
		x->packets = all;
	}
	x->packets[x->n_packets++] = p;
	return p;
}

static void keep_sender(struct file_dump *d, const struct message *m)
{
	struct arena *a = &d->s->arena;
	/* of a message that was sent before SO_PASSCRED: pid 0, ids of nobody */
	if (m->has_creds && m->creds.pid) {
		FermataUcred *creds = arena_new(a, FermataUcred);
		fermata_ucred__init(creds);
		creds->pid = (uint32_t)file_tree_pid(d, m->creds.pid);
		creds->uid = m->creds.uid;
		creds->gid = m->creds.gid;
		packet_extra(d, m->u)->creds = creds;
	}
	if (m->u->info->type == SOCK_DGRAM && m->from_len) {
		FermataUnixPacket *p = packet_extra(d, m->u);
		size_t room = sizeof(m->from.sun_path);
		p->has_from = true;
		p->from.len = m->from_len < room ? m->from_len : room;
		p->from.data = arena_memdup(a, m->from.sun_path, p->from.len);
	}
}

static SkPacketEntry *new_packet(struct file_dump *d, struct unix_dumped *u, size_t len)
{
	SkPacketEntry *e = arena_new(&d->s->arena, SkPacketEntry);
	sk_packet_entry__init(e);
	e->id_for = u->f->id;
	e->length = (uint32_t)len;
	return e;
}

/* --- empty ones --- */

static void ask_kernel(struct file_dump *d, struct unix_dumped *u)
{
	struct unix_kernel *k = u->info->type == SOCK_STREAM ? NULL : unix_kernel_get(d);
	_cleanup_close_ int fd = k ? source_take(d, &u->from) : -1;
	struct sock_memory *m = sock_memory_get(d);
	uint64_t sock = fd < 0 ? 0 : sock_find(m, fd);
	struct kernel_queue *q = arena_new(&d->s->arena, struct kernel_queue);
	if (sock && sock_queue(m, sock, &q->all))
		u->in_kernel = q;
}

static bool wants_creds(struct file_dump *d, const struct unix_dumped *u)
{
	_cleanup_close_ int fd = source_take(d, &u->from);
	return fd >= 0 && socket_int(fd, SO_PASSCRED, 0) > 0;
}

static int add_empty(struct file_dump *d, struct unix_dumped *u, const struct sock_message *m)
{
	struct unix_kernel *k = unix_kernel_get(d);
	FermataUcred *creds = wants_creds(d, u) ? unix_kernel_creds(k, m) : NULL;
	ProtobufCBinaryData from = {0};
	if (u->info->type == SOCK_DGRAM && !unix_kernel_name(k, sock_message_owner(sock_memory_get(d), m), &from))
		return queue_changed(d, u);
	if (creds)
		packet_extra(d, u)->creds = creds;
	if (from.len) {
		FermataUnixPacket *x = packet_extra(d, u);
		x->has_from = true;
		x->from = from;
	}
	*vec_push(&d->s->arena, &u->packets) = new_packet(d, u, 0);
	return 0;
}

/* Those that come before the next one with anything in it. */
static int add_empties(struct file_dump *d, struct unix_dumped *u)
{
	struct kernel_queue *q = u->in_kernel;
	int r = 0;
	while (q && r >= 0 && q->next < q->all.n && !q->all.v[q->next].len &&
		!unix_kernel_is_odd(unix_kernel_get(d), &q->all.v[q->next]))
		r = add_empty(d, u, &q->all.v[q->next++]);
	return r;
}

static int add_last_empties(struct file_dump *d, struct unix_dumped *u)
{
	int r = add_empties(d, u);
	if (r >= 0 && u->in_kernel && u->in_kernel->next < u->in_kernel->all.n)
		unix_block(d, u, "let the program receive it",
			"has an empty message with files in its queue that was looked at before");
	return r;
}

/* --- */

static int look_at(struct file_dump *d, struct message *m, const char *data)
{
	struct arena *a = &d->s->arena;
	(void)data;
	struct kernel_queue *q = m->u->in_kernel;
	if (q && q->next < q->all.n && !m->len && !m->n_fds)
		return 0;
	int r = add_empties(d, m->u);
	if (r < 0)
		return r;
	/* what came since it was listed is looked at for the first time */
	if (q && q->next < q->all.n && q->all.v[q->next++].len != m->len)
		return queue_changed(d, m->u);
	if (m->cut || m->has_label) {
		unix_block(d, m->u, "let the program receive it",
			"has a message with %s in its queue",
			m->cut ? "more than can be looked at" : "a security label");
		return 0;
	}
	SkPacketEntry *e = new_packet(d, m->u, m->len);
	if (m->n_fds) {
		ScmEntry *scm = arena_new(a, ScmEntry);
		scm_entry__init(scm);
		scm->type = SCM_RIGHTS;
		scm->n_rights = m->n_fds;
		scm->rights = arena_array(a, uint32_t, m->n_fds);
		e->n_scm = 1;
		e->scm = arena_memdup(a, &scm, sizeof(scm));
		for (unsigned i = 0; i < m->n_fds; i++) {
			r = dump_file(d, m->u, &m->fds[i], &scm->rights[i]);
			if (r < 0)
				return r;
		}
	}
	keep_sender(d, m);
	d->predicted += m->len;
	*vec_push(a, &m->u->packets) = e;
	return 0;
}

/* An empty packet that a look does not show any more, because there was one before. */
static int check_hidden(struct file_dump *d, struct unix_dumped *u)
{
	if (u->info->type == SOCK_STREAM || u->info->shutdown & SK_SHUTDOWN__READ ||
		(u->packets.n && !u->packets.v[0]->length))
		return 0;
	_cleanup_close_ int fd = source_take(d, &u->from);
	char byte;
	if (fd < 0)
		return fd;
	if (socket_int(fd, SO_PEEK_OFF, -1) < 0 &&
		recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC) == 0)
		unix_block(d, u, "let the program receive it",
			"has an empty message in its queue that was looked at before");
	return 0;
}

/* Descriptors of files in queues stay open until the end of the dump. */
static void raise_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max)
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit.rlim_max, limit.rlim_max});
}

int unix_queue_look(struct file_dump *d, struct unix_dumped *u)
{
	if (!u->has_input || (u->info->type != SOCK_DGRAM && u->info->state != UNIX_ESTABLISHED))
		return 0;
	raise_limit();
	ask_kernel(d, u);
	int r = unix_walk_queue(d, u, look_at);
	if (r >= 0)
		r = u->in_kernel ? add_last_empties(d, u) : check_hidden(d, u);
	if (r >= 0 && u->packets.n)
		file_dump_later(d, unix_queue_write, u);
	return r;
}

/* --- the second time: bytes --- */

/* Empty ones are not shown again. */
static int write_empty(struct file_dump *d, struct unix_dumped *u)
{
	int r = 0;
	while (r >= 0 && u->n_written < u->packets.n && !u->packets.v[u->n_written]->length)
		r = image_write(d->s, &d->sk_queues, &u->packets.v[u->n_written++]->base);
	return r;
}

static int write_one(struct file_dump *d, struct message *m, const char *data)
{
	struct unix_dumped *u = m->u;
	int r = write_empty(d, u);
	if (r < 0)
		return r;
	if (!m->len)
		return 0;
	const SkPacketEntry *e = u->n_written < u->packets.n ? u->packets.v[u->n_written] : NULL;
	if (!e || e->length != m->len)
		return queue_changed(d, u);
	u->n_written++;
	r = image_write(d->s, &d->sk_queues, &e->base);
	return r < 0 ? r : image_write_payload(d->s, &d->sk_queues, data, m->len, 1);
}

int unix_queue_write(struct file_dump *d, void *object)
{
	struct unix_dumped *u = object;
	int r = unix_walk_queue(d, u, write_one);
	if (r >= 0)
		r = write_empty(d, u);
	if (r >= 0 && u->n_written != u->packets.n)
		r = queue_changed(d, u);
	return r;
}
