/*
 * Message queues (msgget(2)).
 *
 * As with semaphores, only the pids of whoever sent and received last tell whose a queue is; sem.c
 * says what is made of that.  Messages are copied without being received (MSG_COPY).
 */
#include "ipc/ipc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "image/codec.h"

enum { MESSAGE_MAX = 1 << 20 };

/* As msgsnd(2) takes it. */
struct message {
	size_t len;
	struct msgbuf *buf; /* mtype and text */
};

typedef VEC(struct message) message_vec;

struct queue {
	IpcMsgEntry *e;
	message_vec messages;
	enum ipc_fate fate;
	bool made;
};

struct queues {
	VEC(struct queue) all;
};

static int bad(struct session *s, int err, const struct queue *g, const char *why)
{
	return fail(s, err, "message queue %u (key %#x): %s", g->e->desc->id, g->e->desc->key, why);
}

static struct message new_message(struct session *s, long mtype, const void *text, size_t len)
{
	struct message m = {.len = len, .buf = arena_alloc(&s->arena, sizeof(long) + len + 1)};
	m.buf->mtype = mtype;
	memcpy(m.buf->mtext, text, len);
	return m;
}

static int read_messages(struct session *s, const struct queue *g, message_vec *ret)
{
	_cleanup_free_ struct msgbuf *buf = malloc(sizeof(long) + MESSAGE_MAX);
	if (!buf)
		return bad(s, ENOMEM, g, "copy its messages");
	for (long i = 0;; i++) {
		ssize_t n = msgrcv((int)g->e->desc->id, buf, MESSAGE_MAX, i, IPC_NOWAIT | MSG_COPY);
		if (n < 0 && errno == ENOMSG)
			return 0;
		if (n < 0)
			return bad(s, errno, g, "copy its messages");
		*vec_push(&s->arena, ret) = new_message(s, buf->mtype, buf->mtext, (size_t)n);
	}
}

/* --- dump --- */

static int add_queue(struct session *s, struct tree *tree, int id)
{
	struct msqid_ds ds;
	if (msgctl(id, IPC_STAT, &ds) < 0)
		return 0;
	enum ipc_user sender = ipc_user_of(tree, ds.msg_lspid),
		      receiver = ipc_user_of(tree, ds.msg_lrpid);
	if ((sender > receiver ? sender : receiver) != IPC_TREE)
		return 0;
	struct queue g = {.e = arena_new(&s->arena, IpcMsgEntry)};
	ipc_msg_entry__init(g.e);
	g.e->desc = arena_new(&s->arena, IpcDescEntry);
	ipc_desc_fill(g.e->desc, &ds.msg_perm, id);
	g.e->qbytes = (uint32_t)ds.msg_qbytes;
	int r = read_messages(s, &g, &g.messages);
	if (r < 0)
		return r;
	g.e->qnum = (uint32_t)g.messages.n;
	if (!tree->msg)
		tree->msg = arena_new(&s->arena, struct queues);
	struct queues *list = tree->msg;
	*vec_push(&s->arena, &list->all) = g;
	return 0;
}

int msg_collect(struct session *s, struct tree *tree)
{
	struct msginfo info;
	struct msqid_ds ds;
	int r = 0, last = msgctl(0, MSG_INFO, (struct msqid_ds *)&info);
	for (int i = 0; i <= last && r >= 0; i++) {
		int id = msgctl(i, MSG_STAT_ANY, &ds);
		if (id >= 0)
			r = add_queue(s, tree, id);
	}
	return r;
}

static int write_queue(struct session *s, struct image_writer *w, const struct queue *g)
{
	int r = image_write(s, w, &g->e->base);
	for (size_t i = 0; i < g->messages.n && r >= 0; i++) {
		const struct message *m = &g->messages.v[i];
		IpcMsg e = IPC_MSG__INIT;
		e.mtype = (uint64_t)m->buf->mtype;
		e.msize = (uint32_t)m->len;
		r = image_write(s, w, &e.base);
		if (r >= 0)
			r = image_write_payload(s, w, m->buf->mtext, m->len, 8);
	}
	return r;
}

int msg_write(struct session *s, struct tree *tree)
{
	struct queues *list = tree->msg;
	if (!list)
		return 0;
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, s->images, IMG_IPC_MSG, tree->root->ids->ipc_ns_id);
	int r = 0;
	for (size_t i = 0; i < list->all.n && r >= 0; i++)
		r = write_queue(s, &w, &list->all.v[i]);
	return r < 0 ? r : image_writer_close(s, &w);
}

/* --- restore --- */

static bool same_messages(const message_vec *a, const message_vec *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].len != b->v[i].len ||
			memcmp(a->v[i].buf, b->v[i].buf, sizeof(long) + a->v[i].len) != 0)
			return false;
	return true;
}

static int look_at_existing(
	struct session *s, const struct tree *tree, struct queue *g, const struct msqid_ds *ds)
{
	message_vec now = {0};
	if (!ipc_desc_same(g->e->desc, &ds->msg_perm))
		return bad(s, EEXIST, g, "its id belongs to another queue now");
	int r = read_messages(s, g, &now);
	if (r < 0)
		return r;
	g->fate = IPC_KEEP;
	if (same_messages(&now, &g->messages))
		return 0;
	const pid_t pids[] = {ds->msg_lspid, ds->msg_lrpid};
	for (int i = 0; i < 2; i++)
		if (pids[i] && !ipc_is_of_tree(tree, pids[i]))
			return bad(s, EBUSY, g,
				arena_printf(
					&s->arena, "pid %d changed it since the dump", pids[i]));
	g->fate = IPC_RESET;
	return 0;
}

static int look_at(struct session *s, const struct tree *tree, struct queue *g)
{
	struct msqid_ds ds;
	if (msgctl((int)g->e->desc->id, IPC_STAT, &ds) == 0)
		return look_at_existing(s, tree, g, &ds);
	if (errno != EINVAL && errno != EIDRM)
		return bad(s, errno, g, "examine it");
	int other = g->e->desc->key ? msgget((key_t)g->e->desc->key, 0) : -1;
	if (other >= 0)
		return bad(s, EEXIST, g,
			arena_printf(&s->arena, "its key belongs to queue %d now", other));
	g->fate = IPC_MAKE;
	return 0;
}

static int load_messages(struct session *s, struct image_reader *reader, struct queue *g)
{
	int r = 0;
	for (uint32_t i = 0; i < g->e->qnum && r >= 0; i++) {
		ProtobufCMessage *m;
		const void *text;
		size_t len;
		r = image_read(s, reader, &m);
		if (r <= 0)
			return r;
		r = image_read_payload(s, reader, MESSAGE_MAX, &text, &len);
		if (r >= 0)
			*vec_push(&s->arena, &g->messages) =
				new_message(s, (long)((IpcMsg *)m)->mtype, text, len);
	}
	return r;
}

int msg_load(struct session *s, struct tree *tree)
{
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	struct queues *list = NULL;
	ProtobufCMessage *m;
	int r = image_reader_open(s, &reader, s->images, IMG_IPC_MSG, ipc_ns_of(tree));
	while (r >= 0 && (r = image_read(s, &reader, &m)) > 0) {
		struct queue g = {.e = (IpcMsgEntry *)m};
		r = load_messages(s, &reader, &g);
		if (r >= 0 && !s->images_only)
			r = postpone(s, look_at(s, tree, &g));
		if (!list)
			list = tree->msg = arena_new(&s->arena, struct queues);
		*vec_push(&s->arena, &list->all) = g;
	}
	return r;
}

static int get(const void *object)
{
	const struct queue *g = object;
	return msgget(
		(key_t)g->e->desc->key, IPC_CREAT | IPC_EXCL | (int)(g->e->desc->mode & 0777));
}

static int make_queue(struct session *s, struct queue *g)
{
	const IpcDescEntry *d = g->e->desc;
	int id = ipc_create("msg", d, get, g);
	if (id < 0)
		return bad(s, id, g, "make it again");
	if ((uint32_t)id != d->id) {
		msgctl(id, IPC_RMID, NULL);
		return bad(s, EEXIST, g, "its id is taken");
	}
	g->made = true;
	struct msqid_ds ds = {.msg_perm = {.uid = d->uid, .gid = d->gid, .mode = d->mode & 0777},
		.msg_qbytes = g->e->qbytes};
	return msgctl(id, IPC_SET, &ds) < 0 ? bad(s, errno, g, "give it to its owner") : 0;
}

static int empty_queue(struct session *s, const struct queue *g)
{
	_cleanup_free_ struct msgbuf *buf = malloc(sizeof(long) + MESSAGE_MAX);
	if (!buf)
		return bad(s, ENOMEM, g, "empty it");
	while (msgrcv((int)g->e->desc->id, buf, MESSAGE_MAX, 0, IPC_NOWAIT) >= 0)
		;
	return errno == ENOMSG ? 0 : bad(s, errno, g, "empty it");
}

int msg_make(struct session *s, struct tree *tree)
{
	struct queues *list = tree->msg;
	int r = 0;
	for (size_t i = 0; list && i < list->all.n && r >= 0; i++) {
		struct queue *g = &list->all.v[i];
		if (g->fate == IPC_MAKE)
			r = make_queue(s, g);
		else if (g->fate == IPC_RESET)
			r = empty_queue(s, g);
	}
	return r;
}

void msg_plan(struct tree *tree, struct program *p)
{
	struct queues *list = tree->msg;
	if (!list)
		return;
	vec_for_each (&list->all, g)
		for (size_t i = 0; i < g->messages.n && g->fate != IPC_KEEP; i++)
			program_step(p, "send", "a queued message", SYS_msgsnd, imm(g->e->desc->id),
				in(p, g->messages.v[i].buf, sizeof(long) + g->messages.v[i].len),
				imm(g->messages.v[i].len), imm(IPC_NOWAIT));
}

void msg_undo(struct tree *tree)
{
	struct queues *list = tree->msg;
	if (list)
		vec_for_each (&list->all, g)
			if (g->made)
				msgctl((int)g->e->desc->id, IPC_RMID, NULL);
}
