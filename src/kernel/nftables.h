/*
 * Transactions of nf_tables (nft(8)) by netlink, as far as the network lock needs them.
 *
 * A batch is built in memory and sent at once: the kernel does all of it or nothing.  Messages
 * follow linux/netfilter/nf_tables.h; all are of the family `inet`, which sees IPv4 and IPv6.
 */
#ifndef FERMATA_KERNEL_NFTABLES_H
#define FERMATA_KERNEL_NFTABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nft_batch {
	char *data; /* malloc()ed */
	size_t used, room;
	size_t message; /* where the last one begins */
	uint32_t seq;
	bool broken; /* out of memory, or an attribute became too long */
};

void nft_begin(struct nft_batch *b);
void nft_release(struct nft_batch *b);

/* A message NFT_MSG_...; attributes follow. */
void nft_message(struct nft_batch *b, unsigned type, unsigned flags);
void nft_put(struct nft_batch *b, unsigned type, const void *data, size_t len);
void nft_put_text(struct nft_batch *b, unsigned type, const char *text);
void nft_put_u32(struct nft_batch *b, unsigned type, uint32_t value); /* goes in network order */
/* An attribute of attributes: put those in between. */
size_t nft_nest(struct nft_batch *b, unsigned type);
void nft_nest_end(struct nft_batch *b, size_t nest);

/* Bytes that the attributes since the last message take; keep it below 60,000. */
size_t nft_message_len(const struct nft_batch *b);

/*
 * Sends it on a socket of nft_open(). 0 or a negative errno: -EPERM without CAP_NET_ADMIN, or what
 * the kernel says to the first message it refuses; -EOPNOTSUPP: no nf_tables.
 */
int nft_commit(struct nft_batch *b, int fd);
int nft_open(void);

/* 0: there is a table of that name; -ENOENT: none, or another negative errno as above. */
int nft_find_table(int fd, const char *name);

#endif
