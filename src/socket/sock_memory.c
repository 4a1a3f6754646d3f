#include "socket/sock_memory.h"

#include <string.h>

enum member {
	FILE_PRIVATE,
	SOCKET_SOCK,
	SOCK_QUEUE,
	QUEUE_FIRST,
	MESSAGE_NEXT,
	MESSAGE_SOCK,
	MESSAGE_LEN,
	MESSAGE_LEN_IN_PAGES,
	MESSAGE_DATA,
	MESSAGE_HEAD,
	MESSAGE_END,
	MESSAGE_CB,
	SHARED_N_PIECES,
	SHARED_LIST,
	SHARED_PIECES,
	PIECE_PAGE,
	PIECE_LEN,
	PIECE_OFFSET,
	N_MEMBERS
};

static const struct kernel_member members[N_MEMBERS] = {
	[FILE_PRIVATE] = {"file", "private_data"},
	[SOCKET_SOCK] = {"socket", "sk"},
	[SOCK_QUEUE] = {"sock", "sk_receive_queue"},
	[QUEUE_FIRST] = {"sk_buff_head", "next"},
	[MESSAGE_NEXT] = {"sk_buff", "next"},
	[MESSAGE_SOCK] = {"sk_buff", "sk"},
	[MESSAGE_LEN] = {"sk_buff", "len"},
	[MESSAGE_LEN_IN_PAGES] = {"sk_buff", "data_len"},
	[MESSAGE_DATA] = {"sk_buff", "data"},
	[MESSAGE_HEAD] = {"sk_buff", "head"},
	[MESSAGE_END] = {"sk_buff", "end"},
	[MESSAGE_CB] = {"sk_buff", "cb"},
	[SHARED_N_PIECES] = {"skb_shared_info", "nr_frags"},
	[SHARED_LIST] = {"skb_shared_info", "frag_list"},
	[SHARED_PIECES] = {"skb_shared_info", "frags"},
	[PIECE_PAGE] = {"skb_frag", "netmem"},
	[PIECE_LEN] = {"skb_frag", "len"},
	[PIECE_OFFSET] = {"skb_frag", "offset"},
};

/* Before Linux 6.9 a piece is as in block I/O. */
static const struct kernel_member older_piece[] = {
	{"bio_vec", "bv_page"}, {"bio_vec", "bv_len"}, {"bio_vec", "bv_offset"}};

enum {
	MESSAGES_MAX = 1 << 20, /* more are no queue, which buffers bound */
	PIECES_MAX = 64,
	PIECE_SIZE = 16,
	NO_PAGE = 1, /* in netmem: memory of a device */
};

struct sock_memory {
	struct arena *arena;
	struct kernel_memory *kernel;
	struct kernel_layout layout;
	uint32_t offset[N_MEMBERS];
};

static bool find_members(struct kernel_memory *k, uint32_t *offset)
{
	return kernel_members_find(k, members, N_MEMBERS, offset) >= 0 ||
	       (kernel_members_find(k, members, PIECE_PAGE, offset) >= 0 &&
		       kernel_members_find(k, older_piece, 3, offset + PIECE_PAGE) >= 0);
}

struct sock_memory *sock_memory_get(struct file_dump *d)
{
	if (d->sock_memory || d->no_sock_memory)
		return d->sock_memory;
	struct sock_memory *m = arena_new(&d->s->arena, struct sock_memory);
	m->arena = &d->s->arena;
	m->kernel = kernel_memory_open();
	if (m->kernel && !find_members(m->kernel, m->offset)) {
		kernel_memory_close(m->kernel);
		m->kernel = NULL;
	}
	m->layout = (struct kernel_layout){m->kernel, m->offset};
	d->no_sock_memory = !m->kernel;
	if (!m->kernel)
		log_info(d->s, "The kernel does not let its memory be read");
	return d->sock_memory = m->kernel ? m : NULL;
}

void sock_memory_close(struct file_dump *d)
{
	if (d->sock_memory)
		kernel_memory_close(d->sock_memory->kernel);
	d->sock_memory = NULL;
}

struct kernel_memory *sock_memory_kernel(struct sock_memory *m)
{
	return m->kernel;
}

uint64_t sock_find(struct sock_memory *m, int fd)
{
	uint64_t socket = member_pointer(&m->layout, kernel_open_file(m->kernel, fd), FILE_PRIVATE);
	uint64_t sock = member_pointer(&m->layout, socket, SOCKET_SOCK);
	return kernel_failed(m->kernel) ? 0 : sock;
}

bool sock_queue(struct sock_memory *m, uint64_t sock, sock_message_vec *ret)
{
	return sock_queue_at(m, sock + m->offset[SOCK_QUEUE], ret);
}

bool sock_queue_at(struct sock_memory *m, uint64_t queue, sock_message_vec *ret)
{
	uint64_t at = member_pointer(&m->layout, queue, QUEUE_FIRST);
	while (at && at != queue && ret->n < MESSAGES_MAX) {
		*vec_push(m->arena, ret) =
			(struct sock_message){at, member_number(&m->layout, at, MESSAGE_LEN)};
		at = member_pointer(&m->layout, at, MESSAGE_NEXT); /* 0 after a failure */
	}
	return !kernel_failed(m->kernel) && at == queue;
}

uint64_t sock_message_owner(struct sock_memory *m, const struct sock_message *message)
{
	uint64_t sock = member_pointer(&m->layout, message->at, MESSAGE_SOCK);
	return kernel_failed(m->kernel) ? 0 : sock;
}

uint64_t sock_message_cb(const struct sock_memory *m, const struct sock_message *message)
{
	return message->at + m->offset[MESSAGE_CB];
}

/* --- bytes: some behind `data`, the rest in pieces of pages --- */

struct reading {
	struct sock_memory *m;
	uint32_t skip; /* of what comes next */
	char *to;
	size_t left;
};

static void read_stretch(struct reading *r, uint64_t addr, uint32_t len)
{
	uint32_t skip = r->skip < len ? r->skip : len;
	size_t n = len - skip < r->left ? len - skip : r->left;
	r->skip -= skip;
	if (!n)
		return;
	kernel_bytes(r->m->kernel, addr + skip, r->to, n);
	r->to += n;
	r->left -= n;
}

static bool read_pieces(struct reading *r, uint64_t message)
{
	struct sock_memory *m = r->m;
	uint64_t shared = member_pointer(&m->layout, message, MESSAGE_HEAD) +
			  member_number(&m->layout, message, MESSAGE_END);
	unsigned n = member_number(&m->layout, shared, SHARED_N_PIECES) & 0xff;
	if (n > PIECES_MAX || member_pointer(&m->layout, shared, SHARED_LIST))
		return false;
	for (unsigned i = 0; i < n && r->left; i++) {
		uint64_t piece = shared + m->offset[SHARED_PIECES] + i * PIECE_SIZE;
		uint64_t page = member_pointer(&m->layout, piece, PIECE_PAGE);
		if (!page || page & NO_PAGE)
			return false;
		read_stretch(r,
			kernel_page_address(m->kernel, page) +
				member_number(&m->layout, piece, PIECE_OFFSET),
			member_number(&m->layout, piece, PIECE_LEN));
	}
	return true;
}

bool sock_message_read(struct sock_memory *m, const struct sock_message *message, uint32_t offset,
	void *ret, size_t len)
{
	struct reading r = {.m = m, .skip = offset, .to = ret, .left = len};
	uint32_t in_pages = member_number(&m->layout, message->at, MESSAGE_LEN_IN_PAGES);
	if (in_pages <= message->len)
		read_stretch(&r, member_pointer(&m->layout, message->at, MESSAGE_DATA),
			message->len - in_pages);
	bool all = !r.left || read_pieces(&r, message->at);
	return !kernel_failed(m->kernel) && all && !r.left;
}
