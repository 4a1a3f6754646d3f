/*
 * Filling the queues of unix sockets again, from sk-queues.img.
 *
 * Each message is sent by whoever must have sent it, because some of it can be told from the
 * sender only: the peer of a connected socket; of datagrams, the socket that has the sender's
 * name, or one made for the moment that had it once more; any client of an unnamed kind; or the
 * feeder that was made with the socket.  Files go along as SCM_RIGHTS, credentials as
 * SCM_CREDENTIALS (in place of a dead process by a child with its PID).
 *
 * Before options are set: SO_PASSCRED would add credentials where there were none, filters would
 * drop messages, small buffers would not take them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "kernel/syscalls.h"
#include "socket/unix.h"

/* --- loading --- */

/* For each packet in turn: both ascend. */
static const FermataUnixPacket *extra_of(struct unix_sock *u, size_t index)
{
	size_t n = u->x ? u->x->n_packets : 0;
	while (u->next_extra < n && u->x->packets[u->next_extra]->index < index)
		u->next_extra++;
	bool has = u->next_extra < n && u->x->packets[u->next_extra]->index == index;
	return has ? u->x->packets[u->next_extra] : NULL;
}

static struct fd_table *table_of(const struct file_set *f, const struct open_file *o)
{
	vec_for_each (&f->tables, t)
		vec_for_each (&(*t)->slots, slot)
			if (slot->file == o)
				return *t;
	return NULL;
}

/* What a task has to do with a file (fill an epoll set), although none holds this one. */
static void lend_to_task(struct file_set *f, const struct unix_sock *u, struct open_file *o)
{
	if (table_of(f, o))
		return;
	struct fd_table *t = table_of(f, u->o);
	if (!t)
		t = f->tables.v[0];
	uint32_t fd = t->slots.n ? t->slots.v[t->slots.n - 1].fd + 1 : 0;
	*vec_push(&f->s->arena, &t->slots) = (struct fd_slot){
		.fd = fd, .close_on_exec = true, .temporary = true, .installs = true, .file = o};
	id_map_put(&f->s->arena, &f->numbers, fd, o);
	o->uses_left++;
}

/* Files that only a queue holds must be made, too: each passage is a use. */
static int use_files(struct file_set *f, const struct unix_sock *u, const SkPacketEntry *e)
{
	if (e->n_scm > 1 ||
		(e->n_scm && (e->scm[0]->type != SCM_RIGHTS || e->scm[0]->n_rights > UNIX_MAX_FDS)))
		return fail(f->s, EBADMSG, "%s: a message in its queue is not sane",
			open_file_label(f, u->o));
	for (size_t i = 0; e->n_scm && i < e->scm[0]->n_rights; i++) {
		struct open_file *o = file_find(f, e->scm[0]->rights[i]);
		if (!o)
			return fail(f->s, EBADMSG, "%s: file %u, in its queue, is not in files.img",
				open_file_label(f, u->o), e->scm[0]->rights[i]);
		if (!o->type)
			return fail(f->s, EOPNOTSUPP,
				"%s: file %u, in its queue, is of a type that is not supported",
				open_file_label(f, u->o), o->id);
		if (o->type->install)
			lend_to_task(f, u, o);
		o->uses_left++;
	}
	return 0;
}

int unix_queue_check(struct file_set *f, const struct unix_sock *u)
{
	vec_for_each (&u->queue, p)
		for (size_t i = 0; p->e->n_scm && i < p->e->scm[0]->n_rights; i++)
			if (file_find(f, p->e->scm[0]->rights[i])->late)
				return fail(f->s, EOPNOTSUPP,
					"%s: file %u, in its queue, cannot be made before the "
					"tasks are complete",
					open_file_label(f, u->o), p->e->scm[0]->rights[i]);
	return 0;
}

int unix_queue_load(struct file_set *f)
{
	struct unix_set *set = f->unix_socks;
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	ProtobufCMessage *m;
	int r = image_reader_open(f->s, &reader, f->s->images, IMG_SK_QUEUES, 0);
	while (r >= 0 && (r = image_read(f->s, &reader, &m)) > 0) {
		const SkPacketEntry *e = (const SkPacketEntry *)m;
		struct unix_sock *u = id_map_get(&set->by_id, e->id_for);
		if (!u)
			return fail(f->s, EBADMSG, "sk-queues.img: no unix socket has the id %u",
				e->id_for);
		struct unix_packet packet = {
			.e = e, .extra = extra_of(u, u->queue.n), .offset = reader.payload.offset};
		*vec_push(&f->s->arena, &u->queue) = packet;
		if (!u->outside)
			r = use_files(f, u, e);
	}
	if (r >= 0)
		set->queues = take_fd(&reader.fd);
	return r;
}

/* --- sending --- */

struct sending {
	struct file_set *f;
	struct unix_sock *u;
	const struct unix_packet *packet;
	int from;
	bool connected; /* `from` is; otherwise by address */
	bool sender_may_be_lost;
	char *data;
};

static bool is_name_of(const struct unix_sock *s, const FermataUnixPacket *x)
{
	return s->e->type == SOCK_DGRAM && !s->outside && s->e->name.len == x->from.len &&
	       (!x->from.len || memcmp(s->e->name.data, x->from.data, x->from.len) == 0);
}

/* A socket that had the name and is gone, but is still told as the sender. */
static int make_sender(struct file_set *f, const struct unix_sock *to, const FermataUnixPacket *x)
{
	UnixSkEntry *e = arena_new(&f->s->arena, UnixSkEntry);
	struct unix_sock *gone = arena_new(&f->s->arena, struct unix_sock);
	unix_sk_entry__init(e);
	e->type = SOCK_DGRAM;
	e->name = x->from;
	e->has_deleted = e->deleted = true;
	*gone = (struct unix_sock){.o = to->o, .e = e, .feeder = -1};
	gone->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (gone->fd < 0)
		return fail(f->s, errno, "make a unix socket");
	*vec_push(&f->s->arena, &f->unix_socks->senders) = gone;
	if (!x->from.len)
		return gone->fd;
	int r = unix_name_bind_quietly(f, gone, gone->fd);
	if (r == -EADDRINUSE) /* of a process outside; nobody else can speak for it */
		log_warn(f->s, "%s: the sender %s of a queued message cannot be told any more",
			open_file_label(f, to->o),
			unix_name_text(&f->s->arena, x->from.data, x->from.len));
	else if (r < 0)
		return fail(f->s, r, "%s: be the sender %s of a queued message",
			open_file_label(f, to->o),
			unix_name_text(&f->s->arena, x->from.data, x->from.len));
	return gone->fd;
}

static int named_sender(struct sending *s, const FermataUnixPacket *x)
{
	struct unix_set *set = s->f->unix_socks;
	vec_for_each (&set->all, u)
		if (x->from.len && is_name_of(*u, x)) {
			s->connected = (*u)->connected && (*u)->peer == s->u;
			return (*u)->fd;
		}
	vec_for_each (&set->senders, u)
		if (is_name_of(*u, x))
			return (*u)->fd;
	return make_sender(s->f, s->u, x);
}

/* Who sends; -1 if that cannot be, or a negative errno. */
static int choose_sender(struct sending *s)
{
	static const FermataUnixPacket unnamed = FERMATA_UNIX_PACKET__INIT;
	struct unix_sock *u = s->u;
	const FermataUnixPacket *x = s->packet->extra;
	s->connected = true;
	if (u->e->type != SOCK_DGRAM)
		return u->feeder >= 0 ? u->feeder : u->peer ? u->peer->fd : -1;
	if (u->feeder >= 0)
		return u->feeder;
	if (x && x->has_from && x->from.len) {
		s->connected = false;
		return named_sender(s, x);
	}
	vec_for_each (&u->clients, c)
		if (!(*c)->outside && ((*c)->connected || !(*c)->e->name.len)) {
			s->connected = (*c)->connected;
			return (*c)->fd;
		}
	s->connected = false;
	return named_sender(s, &unnamed);
}

/* The control message: files, credentials. */
static int fill_control(struct sending *s, struct msghdr *msg)
{
	const SkPacketEntry *e = s->packet->e;
	const FermataUcred *creds = s->packet->extra ? s->packet->extra->creds : NULL;
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	size_t used = 0;
	if (e->n_scm) {
		int fds[UNIX_MAX_FDS] = {0};
		size_t len = e->scm[0]->n_rights * sizeof(int);
		for (size_t i = 0; i < e->scm[0]->n_rights; i++) {
			int r = file_get(s->f, file_find(s->f, e->scm[0]->rights[i]), &fds[i]);
			if (r < 0)
				return r;
		}
		*c = (struct cmsghdr){CMSG_LEN(len), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(c), fds, len);
		used = CMSG_SPACE(len);
		c = (struct cmsghdr *)((char *)msg->msg_control + used);
	}
	if (creds) {
		struct ucred value = {(pid_t)creds->pid, creds->uid, creds->gid};
		*c = (struct cmsghdr){CMSG_LEN(sizeof(value)), SOL_SOCKET, SCM_CREDENTIALS};
		memcpy(CMSG_DATA(c), &value, sizeof(value));
		used += CMSG_SPACE(sizeof(value));
	}
	msg->msg_controllen = used;
	if (!used)
		msg->msg_control = NULL;
	return 0;
}

static void release_files(struct file_set *f, const SkPacketEntry *e)
{
	for (size_t i = 0; e->n_scm && i < e->scm[0]->n_rights; i++)
		file_passed(f, file_find(f, e->scm[0]->rights[i]));
}

/* A process of that PID, as long as the call takes. -1: there cannot be one. */
static pid_t stand_in(uint32_t pid)
{
	pid_t wanted = (pid_t)pid;
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
	pid_t child = sys_clone3(&args);
	if (child == 0)
		for (;;)
			pause();
	return child < 0 ? -1 : child;
}

static ssize_t send_once(struct sending *s, struct msghdr *msg)
{
	ssize_t n = sendmsg(s->from, msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EMSGSIZE || errno == ENOBUFS) &&
		sk_opts_widen(s->from) >= 0)
		n = sendmsg(s->from, msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 || errno != ESRCH)
		return n;
	pid_t child = stand_in(s->packet->extra->creds->pid);
	n = sendmsg(s->from, msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	int err = errno;
	if (child > 0) {
		kill(child, SIGKILL);
		while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
			;
	}
	errno = err;
	return n;
}

/* Who sent it is dead, and there cannot be one of that PID; nobody may ever ask. */
static bool try_without_sender(struct sending *s, struct msghdr *msg)
{
	if (errno != ESRCH || !s->sender_may_be_lost)
		return false;
	log_warn(s->f->s, "%s: the sender (pid %u) of what was sent before it was accepted is lost",
		open_file_label(s->f, s->u->o), s->packet->extra->creds->pid);
	msg->msg_control = NULL;
	msg->msg_controllen = 0;
	return true;
}

static int send_failed(struct sending *s, int err)
{
	const char *label = open_file_label(s->f, s->u->o);
	if (err == EAGAIN && s->u->e->type == SOCK_DGRAM)
		return fail_remedy(s->f->s, err, "raise /proc/sys/net/unix/max_dgram_qlen",
			"%s: its queue does not take its %zu messages", label, s->u->queue.n);
	if (err == ESRCH)
		return fail(s->f->s, err,
			"%s: a message in its queue is from pid %u, which cannot be stood in for",
			label, s->packet->extra->creds->pid);
	return fail(
		s->f->s, err, "%s: put %u bytes back into its queue", label, s->packet->e->length);
}

static int send_packet(struct sending *s)
{
	char control[CMSG_SPACE(UNIX_MAX_FDS * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))]
		__attribute__((aligned(8)));
	struct sockaddr_un to;
	socklen_t to_len = 0;
	_cleanup_close_ int file = -1;
	struct iovec iov = {s->data, s->packet->e->length};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	int r = fill_control(s, &msg);
	if (r >= 0 && !s->connected) {
		r = unix_address_of(s->u->fd, &to, &to_len, &file);
		msg.msg_name = &to;
		msg.msg_namelen = to_len;
	}
	if (r < 0)
		return r;
	do {
		ssize_t n = send_once(s, &msg);
		if (n < 0 && try_without_sender(s, &msg))
			n = send_once(s, &msg);
		if (n < 0)
			return send_failed(s, errno);
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		msg.msg_control = NULL; /* files go with the first byte */
		msg.msg_controllen = 0;
	} while (iov.iov_len);
	release_files(s->f, s->packet->e);
	return 0;
}

static int feed_one(struct file_set *f, struct unix_sock *u, const struct unix_packet *packet)
{
	uint32_t len = packet->e->length;
	_cleanup_free_ char *data = malloc(len + !len);
	struct sending s = {.f = f, .u = u, .packet = packet, .data = data};
	if (!data)
		return fail(f->s, ENOMEM, "put %u bytes into a queue", len);
	if (len && pread(f->unix_socks->queues, data, len, (off_t)packet->offset) != (ssize_t)len)
		return fail(f->s, EBADMSG, "read what was in a queue from sk-queues.img");
	s.from = choose_sender(&s);
	if (s.from == -1)
		return fail(f->s, ENOTCONN, "%s: nobody can have sent what is in its queue",
			open_file_label(f, u->o));
	return s.from < 0 ? s.from : send_packet(&s);
}

int unix_queue_feed(struct file_set *f, struct unix_sock *u)
{
	int r = 0;
	for (size_t i = 0; i < u->queue.n && r >= 0; i++)
		r = feed_one(f, u, &u->queue.v[i]);
	return r;
}

int unix_send_again(struct file_set *f, struct unix_sock *client)
{
	int r = 0;
	for (size_t i = 0; client->x && i < client->x->n_sent && r >= 0; i++) {
		const FermataUnixSent *sent = client->x->sent[i];
		SkPacketEntry e = SK_PACKET_ENTRY__INIT;
		e.length = (uint32_t)sent->data.len;
		FermataUnixPacket x = FERMATA_UNIX_PACKET__INIT;
		x.creds = sent->creds;
		const struct unix_packet packet = {.e = &e, .extra = &x};
		struct sending s = {.f = f,
			.u = client,
			.packet = &packet,
			.from = client->fd,
			.connected = true,
			.sender_may_be_lost = true,
			.data = (char *)sent->data.data};
		r = send_packet(&s);
	}
	return r;
}
