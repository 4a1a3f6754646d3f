/*
 * Looking at messages in a queue: recvmsg(MSG_PEEK), with SO_PEEK_OFF moving from one to the next.
 *
 * SO_PEEK_OFF is state of the socket, which is the task's: it is put back, by a child of ours
 * (guard.c) should the controller be killed meanwhile.  Most streams show all they have at
 * once and need none of that.
 *
 * Nothing may be received beyond the last byte of a stream: it would report, and so take off, an
 * error.  A SEQPACKET socket that is shut down has no end but the count of its bytes: 0 is end of
 * file, or an empty packet, which no reader can tell apart at the end.
 */
#include "socket/unix_peek.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kernel/syscalls.h"
#include "socket/guard.h"

#ifndef SCM_SECURITY
#define SCM_SECURITY 0x03
#endif
#ifndef SCM_PIDFD /* 6.5 */
#define SCM_PIDFD 0x04
#endif

enum {
	CONTROL_ROOM = 8192,
	FIRST_ROOM = 64 * 1024,
};

struct walk {
	struct file_dump *d;
	struct unix_dumped *u;
	int fd;
	char *data;
	size_t room;
	message_fn *fn;
};

static void close_files(struct message *m)
{
	for (unsigned i = 0; i < m->n_fds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->n_fds = 0;
}

static void take_control(struct message *m, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);
		int pidfd;
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS && len <= sizeof(m->fds)) {
			memcpy(m->fds, CMSG_DATA(c), len);
			m->n_fds = (unsigned)(len / sizeof(int));
		} else if (c->cmsg_type == SCM_CREDENTIALS && len >= sizeof(m->creds)) {
			memcpy(&m->creds, CMSG_DATA(c), sizeof(m->creds));
			m->has_creds = true;
		} else if (c->cmsg_type == SCM_PIDFD && len >= sizeof(pidfd)) {
			memcpy(&pidfd, CMSG_DATA(c), sizeof(pidfd));
			if (pidfd >= 0)
				close(pidfd); /* follows from the credentials */
		} else if (c->cmsg_type == SCM_SECURITY) {
			m->has_label = true;
		}
	}
}

/* The message at SO_PEEK_OFF. 0, or -errno: -EAGAIN at the end. */
static int peek(struct walk *w, struct iovec *iov, size_t n_iov, struct message *m)
{
	char control[CONTROL_ROOM] __attribute__((aligned(8)));
	struct msghdr msg = {
		.msg_name = &m->from,
		.msg_namelen = sizeof(m->from),
		.msg_iov = iov,
		.msg_iovlen = n_iov,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	*m = (struct message){.u = w->u};
	ssize_t n = recvmsg(w->fd, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	m->len = (size_t)n;
	m->cut = msg.msg_flags & MSG_CTRUNC;
	if (msg.msg_namelen > offsetof(struct sockaddr_un, sun_path))
		m->from_len = msg.msg_namelen - offsetof(struct sockaddr_un, sun_path);
	take_control(m, &msg);
	return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : 0;
}

static int set_offset(struct walk *w, int offset)
{
	if (setsockopt(w->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) < 0)
		return fail(w->d->s, errno, "pid %d %s: look into its queue", w->u->from.task->vpid,
			source_label(w->d, &w->u->from));
	return 0;
}

static int grow(struct walk *w, size_t room)
{
	char *data = room > w->room ? realloc(w->data, room) : w->data;
	if (!data)
		return fail(w->d->s, ENOMEM, "look into a queue with room for %zu bytes", room);
	w->data = data;
	w->room = room > w->room ? room : w->room;
	return 0;
}

/* As peek(), with room for all of it; pos is SO_PEEK_OFF, -1 for none. */
static int peek_whole(struct walk *w, int pos, struct message *m)
{
	int r;
	while ((r = peek(w, &(struct iovec){w->data, w->room}, 1, m)) == -EMSGSIZE) {
		close_files(m);
		r = grow(w, w->room * 2);
		if (r >= 0 && pos >= 0)
			r = set_offset(w, pos);
		if (r < 0)
			return r;
	}
	return r;
}

/*
 * A stream shows bytes together with files that follow, which go with the first byte of theirs.
 * A look into a buffer that lacks one byte ends with an error at the piece that does not fit, the
 * one with the files, and shows what is before it alone (unix_stream_read_generic()).
 */
static int split_before_files(struct walk *w, int pos, struct message *m)
{
	struct iovec iov[2] = {{w->data, m->len - 1}, {NULL, 1}};
	close_files(m);
	int r = set_offset(w, pos);
	if (r >= 0)
		r = peek(w, iov, 2, m);
	if (r != -EFAULT)
		return r;
	return peek_whole(w, pos, m); /* files come first */
}

static int walk_messages(struct walk *w, int total)
{
	bool counted =
		w->u->info->type != SOCK_DGRAM &&
		(w->u->info->type == SOCK_STREAM || w->u->info->shutdown & SK_SHUTDOWN__READ);
	int pos = 0, r = set_offset(w, 0);
	while (r >= 0 && (!counted || pos < total)) {
		struct message m;
		r = peek_whole(w, pos, &m);
		if (r == -EAGAIN)
			return 0;
		if (r >= 0 && m.n_fds && w->u->info->type == SOCK_STREAM)
			r = split_before_files(w, pos, &m);
		if (r < 0)
			return fail(w->d->s, r, "pid %d %s: look into its queue",
				w->u->from.task->vpid, source_label(w->d, &w->u->from));
		pos += (int)m.len;
		r = w->fn(w->d, &m, w->data);
		close_files(&m);
	}
	return r;
}

/* Most streams: all at once, and the socket's SO_PEEK_OFF stays as it is. */
static int walk_simple_stream(struct walk *w, int total)
{
	struct message m;
	int r = grow(w, (size_t)total + 1);
	if (r < 0)
		return r;
	if (peek(w, &(struct iovec){w->data, w->room}, 1, &m) < 0 || m.len != (size_t)total ||
		m.n_fds) {
		close_files(&m);
		return 0;
	}
	r = w->fn(w->d, &m, w->data);
	close_files(&m);
	return r < 0 ? r : 1;
}

struct way_back {
	int fd, offset;
};

static void put_back(void *arg)
{
	const struct way_back *back = arg;
	insist(setsockopt(
		back->fd, SOL_SOCKET, SO_PEEK_OFF, &back->offset, sizeof(back->offset)));
}

static int walk_guarded(struct walk *w, int total, int before)
{
	struct way_back way = {w->fd, before};
	struct guard guard = {0};
	const struct guard_duty duty = {
		.alive = w->u->from.task->pid, .rescue = put_back, .arg = &way};
	int r = guard_start(w->d->s, &guard, &duty);
	if (r < 0)
		return r;
	r = walk_messages(w, total);
	put_back(&way);
	guard_dismiss(&guard);
	return r < 0 || socket_int(w->fd, SO_PEEK_OFF, before) == before ? r : set_offset(w, before);
}

int unix_walk_queue(struct file_dump *d, struct unix_dumped *u, message_fn *fn)
{
	_cleanup_close_ int fd = source_take(d, &u->from);
	struct walk w = {.d = d, .u = u, .fd = fd, .fn = fn};
	int total = 0, before = socket_int(fd, SO_PEEK_OFF, -1), r = 0;
	if (fd < 0)
		return fd;
	if (ioctl(fd, SIOCINQ, &total) < 0)
		return fail(d->s, errno, "pid %d %s: look into its queue", u->from.task->vpid,
			source_label(d, &u->from));
	if (u->info->type == SOCK_STREAM && !total)
		return 0;
	if (u->info->type == SOCK_STREAM && before < 0)
		r = walk_simple_stream(&w, total);
	if (r == 0)
		r = grow(&w, u->info->type == SOCK_STREAM ? (size_t)total + 1 : FIRST_ROOM);
	if (r == 0)
		r = walk_guarded(&w, total, before);
	free(w.data);
	return r < 0 ? r : 0;
}
