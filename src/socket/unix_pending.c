/*
 * What clients have sent on connections that are not accepted yet.
 *
 * Nobody has a descriptor of the other end before accept(2), which cannot be taken back; so the
 * kernel's memory is read (kernel_memory.h).  The queue of a listener is a list of packets, one for
 * each connection; such a packet leads to the other end, whose queue has the messages.
 *
 *	open file -> socket -> sock: queue -> packet -> sock: queue -> messages
 *
 * With each go the credentials of its sender, which the kernel keeps as nobody can tell yet whether
 * the receiver wants them.  Left to the caller, which refuses: messages with files, and those of
 * more than a page, which are not in one piece.  At restore the client sends it all again.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/file_identity.h"
#include "kernel/kernel_memory.h"
#include "kernel/syscalls.h"
#include "socket/unix.h"

enum member {
	FILE_PRIVATE,
	SOCKET_SOCK,
	SOCK_QUEUE,
	QUEUE_FIRST,
	PACKET_NEXT,
	PACKET_SOCK,
	PACKET_LEN,
	PACKET_LEN_ELSEWHERE,
	PACKET_DATA,
	PACKET_CB,
	CB_PID,
	CB_UID,
	CB_GID,
	CB_FILES,
	CB_CONSUMED,
	PID_LEVEL,
	PID_NUMBERS,
	N_MEMBERS
};

static const struct kernel_member members[N_MEMBERS] = {
	[FILE_PRIVATE] = {"file", "private_data"},
	[SOCKET_SOCK] = {"socket", "sk"},
	[SOCK_QUEUE] = {"sock", "sk_receive_queue"},
	[QUEUE_FIRST] = {"sk_buff_head", "next"},
	[PACKET_NEXT] = {"sk_buff", "next"},
	[PACKET_SOCK] = {"sk_buff", "sk"},
	[PACKET_LEN] = {"sk_buff", "len"},
	[PACKET_LEN_ELSEWHERE] = {"sk_buff", "data_len"},
	[PACKET_DATA] = {"sk_buff", "data"},
	[PACKET_CB] = {"sk_buff", "cb"},
	[CB_PID] = {"unix_skb_parms", "pid"},
	[CB_UID] = {"unix_skb_parms", "uid"},
	[CB_GID] = {"unix_skb_parms", "gid"},
	[CB_FILES] = {"unix_skb_parms", "fp"},
	[CB_CONSUMED] = {"unix_skb_parms", "consumed"},
	[PID_LEVEL] = {"pid", "level"},
	[PID_NUMBERS] = {"pid", "numbers"},
};

/* More is no queue of a client, which is bounded by its send buffer. */
enum { MESSAGES_MAX = 65536, MESSAGE_MAX = 65536 };

struct looking {
	struct file_dump *d;
	struct kernel_memory memory;
	int offset[N_MEMBERS];
	int r; /* 0 until something cannot be read */
};

static void read_member(struct looking *l, uint64_t object, enum member m, void *ret, size_t size)
{
	if (l->r >= 0)
		l->r = kernel_memory_read(&l->memory, object + (uint64_t)l->offset[m], ret, size);
}

static uint64_t read_pointer(struct looking *l, uint64_t object, enum member m)
{
	uint64_t value = 0;
	read_member(l, object, m, &value, sizeof(value));
	return value;
}

static uint32_t read_number(struct looking *l, uint64_t object, enum member m)
{
	uint32_t value = 0;
	read_member(l, object, m, &value, sizeof(value));
	return value;
}

/* Whether all of the message is in its bytes, and these are in one piece. */
static bool is_plain(struct looking *l, uint64_t packet, uint32_t len)
{
	uint64_t cb = packet + (uint64_t)l->offset[PACKET_CB];
	return len <= MESSAGE_MAX && !read_number(l, packet, PACKET_LEN_ELSEWHERE) &&
	       !read_pointer(l, cb, CB_FILES) && !read_number(l, cb, CB_CONSUMED) && l->r >= 0;
}

/* struct upid, one for each PID namespace that sees the process; the last is its own. */
enum { PID_NUMBER_SIZE = 16 };

static FermataUcred *read_sender(struct looking *l, uint64_t cb)
{
	uint64_t pid = read_pointer(l, cb, CB_PID);
	if (!pid)
		return NULL;
	FermataUcred *creds = arena_new(&l->d->s->arena, FermataUcred);
	fermata_ucred__init(creds);
	uint64_t level = read_number(l, pid, PID_LEVEL);
	creds->pid = read_number(l, pid + level * PID_NUMBER_SIZE, PID_NUMBERS);
	creds->uid = read_number(l, cb, CB_UID);
	creds->gid = read_number(l, cb, CB_GID);
	return creds;
}

static FermataUnixSent *read_message(struct looking *l, uint64_t packet)
{
	struct arena *a = &l->d->s->arena;
	uint32_t len = read_number(l, packet, PACKET_LEN);
	if (!is_plain(l, packet, len))
		return NULL;
	FermataUnixSent *sent = arena_new(a, FermataUnixSent);
	fermata_unix_sent__init(sent);
	sent->data = (ProtobufCBinaryData){len, arena_alloc(a, len + !len)};
	sent->creds = read_sender(l, packet + (uint64_t)l->offset[PACKET_CB]);
	uint64_t data = read_pointer(l, packet, PACKET_DATA);
	if (l->r >= 0)
		l->r = kernel_memory_read(&l->memory, data, sent->data.data, len);
	return l->r >= 0 ? sent : NULL;
}

/* All messages in the queue of the other end; false: some cannot be kept. */
static bool read_queue(struct looking *l, uint64_t sock, FermataUnixSk *ret)
{
	uint64_t queue = sock + (uint64_t)l->offset[SOCK_QUEUE];
	VEC(FermataUnixSent *) found = {0};
	uint64_t packet = read_pointer(l, queue, QUEUE_FIRST);
	for (; l->r >= 0 && packet != queue; packet = read_pointer(l, packet, PACKET_NEXT)) {
		FermataUnixSent *sent = found.n < MESSAGES_MAX ? read_message(l, packet) : NULL;
		if (!sent)
			return false;
		*vec_push(&l->d->s->arena, &found) = sent;
		l->d->predicted += sent->data.len;
	}
	ret->sent = found.v;
	ret->n_sent = found.n;
	return l->r >= 0;
}

static void look_at_client(struct looking *l, struct unix_info *client, uint64_t packet)
{
	FermataUnixSk *x = unix_extra_make(l->d, client->dumped->f);
	client->sent_is_known = read_queue(l, read_pointer(l, packet, PACKET_SOCK), x);
}

/* Where the kernel has the open file: as a descriptor of ours. */
static uint64_t find_file(struct looking *l, const struct unix_dumped *listener)
{
	_cleanup_close_ int fd = source_take(l->d, &listener->from);
	_cleanup_close_ int self = sys_pidfd_open(getpid(), 0);
	file_identity_vec all = {0};
	if (fd < 0 || self < 0 || file_identities_read(&l->d->s->arena, self, &all) < 0)
		return 0;
	vec_for_each (&all, it)
		if (it->fd == (uint64_t)fd)
			return it->file;
	return 0;
}

static bool has_sent(const struct file_dump *d, const struct unix_info *listener, size_t i,
	struct unix_info **ret)
{
	*ret = id_map_get(&d->unix_socks->table->by_ino, listener->waiting[i]);
	return *ret && (*ret)->dumped && (*ret)->out_bytes;
}

static bool anybody_has_sent(const struct file_dump *d, const struct unix_info *listener)
{
	struct unix_info *client;
	for (size_t i = 0; i < listener->n_waiting; i++)
		if (has_sent(d, listener, i, &client))
			return true;
	return false;
}

void unix_pending_look(struct file_dump *d, struct unix_dumped *u)
{
	struct looking l = {.d = d, .memory = KERNEL_MEMORY_NONE};
	if (!anybody_has_sent(d, u->info) || kernel_members_find(members, N_MEMBERS, l.offset) < 0)
		return;
	uint64_t file = find_file(&l, u);
	if (!file || kernel_memory_open(&l.memory) < 0)
		return;
	uint64_t sock = read_pointer(&l, read_pointer(&l, file, FILE_PRIVATE), SOCKET_SOCK);
	uint64_t queue = sock + (uint64_t)l.offset[SOCK_QUEUE];
	uint64_t packet = read_pointer(&l, queue, QUEUE_FIRST);
	/* sock_diag lists them in the same order */
	for (size_t i = 0; i < u->info->n_waiting && l.r >= 0 && packet != queue; i++) {
		struct unix_info *client;
		if (has_sent(d, u->info, i, &client))
			look_at_client(&l, client, packet);
		packet = read_pointer(&l, packet, PACKET_NEXT);
	}
	kernel_memory_close(&l.memory);
}
