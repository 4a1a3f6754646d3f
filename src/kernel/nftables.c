/* nf_tables transactions: building and sending. */
#include "kernel/nftables.h"

#include <arpa/inet.h> /* before linux/in.h */

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void *append(struct nft_batch *b, size_t len)
{
	size_t room = b->room ? b->room : 4096, need = b->used + NLMSG_ALIGN(len);
	while (room < need)
		room *= 2;
	if (!b->data || room != b->room) {
		char *data = realloc(b->data, room);
		if (!data) {
			b->broken = true;
			return NULL;
		}
		b->data = data;
		b->room = room;
	}
	void *at = b->data + b->used;
	memset(at, 0, NLMSG_ALIGN(len));
	b->used = need;
	return at;
}

static void end_message(struct nft_batch *b)
{
	if (b->used && !b->broken)
		((struct nlmsghdr *)(b->data + b->message))->nlmsg_len =
			(uint32_t)(b->used - b->message);
}

static void begin_message(struct nft_batch *b, unsigned type, unsigned flags, int family, int res)
{
	end_message(b);
	size_t at = b->used;
	struct nlmsghdr *h = append(b, NLMSG_HDRLEN + sizeof(struct nfgenmsg));
	if (!h)
		return;
	b->message = at;
	h->nlmsg_type = (uint16_t)type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = b->seq++;
	struct nfgenmsg *g = NLMSG_DATA(h);
	g->nfgen_family = (uint8_t)family;
	g->version = NFNETLINK_V0;
	g->res_id = htons((uint16_t)res);
}

void nft_begin(struct nft_batch *b)
{
	*b = (struct nft_batch){.seq = 1};
	begin_message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

void nft_release(struct nft_batch *b)
{
	free(b->data);
	*b = (struct nft_batch){0};
}

void nft_message(struct nft_batch *b, unsigned type, unsigned flags)
{
	begin_message(b, NFNL_SUBSYS_NFTABLES << 8 | type, flags, NFPROTO_INET, 0);
}

void nft_put(struct nft_batch *b, unsigned type, const void *data, size_t len)
{
	struct nlattr *a = append(b, NLA_HDRLEN + len);
	if (!a)
		return;
	a->nla_type = (uint16_t)type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memcpy((char *)a + NLA_HDRLEN, data, len);
}

void nft_put_text(struct nft_batch *b, unsigned type, const char *text)
{
	nft_put(b, type, text, strlen(text) + 1);
}

void nft_put_u32(struct nft_batch *b, unsigned type, uint32_t value)
{
	value = htonl(value);
	nft_put(b, type, &value, sizeof(value));
}

size_t nft_nest(struct nft_batch *b, unsigned type)
{
	size_t at = b->used;
	nft_put(b, type | NLA_F_NESTED, "", 0);
	return at;
}

void nft_nest_end(struct nft_batch *b, size_t nest)
{
	size_t len = b->used - nest;
	if (len > UINT16_MAX)
		b->broken = true;
	if (!b->broken)
		((struct nlattr *)(b->data + nest))->nla_len = (uint16_t)len;
}

size_t nft_message_len(const struct nft_batch *b)
{
	return b->used - b->message;
}

int nft_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	return fd < 0 ? -errno : fd;
}

/* All answers are there when the request has been sent: the kernel works in sendmsg(2). */
static int read_answers(int fd)
{
	_Alignas(struct nlmsghdr) char room[8192];
	int first = 0;
	ssize_t n;
	while ((n = recv(fd, room, sizeof(room), MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)room;
		for (int left = (int)n; left > 0 && NLMSG_OK(h, (unsigned)left);
			h = NLMSG_NEXT(h, left)) {
			const struct nlmsgerr *e = NLMSG_DATA(h);
			if (h->nlmsg_type == NLMSG_ERROR && !first)
				first = e->error;
		}
	}
	return first;
}

static int send_all(struct nft_batch *b, int fd)
{
	end_message(b);
	if (b->broken)
		return -ENOMEM;
	int room = (int)b->used + 4096;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	if (sendto(fd, b->data, b->used, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return read_answers(fd);
}

int nft_commit(struct nft_batch *b, int fd)
{
	begin_message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	return send_all(b, fd);
}

/* A question is no part of a batch. */
int nft_find_table(int fd, const char *name)
{
	struct nft_batch b = {.seq = 1};
	nft_message(&b, NFT_MSG_GETTABLE, 0);
	nft_put_text(&b, NFTA_TABLE_NAME, name);
	int r = send_all(&b, fd);
	nft_release(&b);
	return r;
}
