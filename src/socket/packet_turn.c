/*
 * Bringing a new ring of a packet socket to where the old one stood.
 *
 * The kernel fills a ring in order and tells nobody where it is; a new one begins at the start,
 * but the program goes on where it was.  So the kernel is made to go there, by packets of a
 * protocol that only this socket takes, over loopback.  Versions 1 and 2: one packet for each
 * frame.  Version 3 fills blocks: packets fill one after the other, all but the last, which its
 * timer closes, so that the next is open and empty.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "socket/packet.h"

enum {
	PROTOCOL = 0x88b6, /* local experiments (IEEE 802) */
	LOOPBACK = 1,
	SMALL = 60,
	LARGE = 60000,
	PATIENCE_MS = 5000,
};

struct turning {
	const PacketSockEntry *e;
	int fd, sender;
	char *map, *packet;
	struct timespec begin;
};

static bool is_late(const struct turning *t)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - t->begin.tv_sec) * 1000 + (now.tv_nsec - t->begin.tv_nsec) / 1000000 >
	       PATIENCE_MS;
}

static int send_packet(const struct turning *t, size_t len)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(PROTOCOL),
		.sll_ifindex = LOOPBACK,
		.sll_halen = 6};
	return sendto(t->sender, t->packet, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno
											    : 0;
}

/* --- versions 1 and 2 --- */

static uint32_t frame_status(const struct turning *t, uint32_t index)
{
	const PacketRing *r = t->e->rx_ring;
	uint32_t per_block = r->block_size / r->frame_size;
	const char *frame = t->map + (size_t)(index / per_block) * r->block_size +
			    (size_t)(index % per_block) * r->frame_size;
	return t->e->version == TPACKET_V1
		       ? (uint32_t)__atomic_load_n(
				 (const unsigned long *)(const void *)frame, __ATOMIC_ACQUIRE)
		       : __atomic_load_n((const uint32_t *)(const void *)frame, __ATOMIC_ACQUIRE);
}

static int turn_frames(const struct turning *t, uint32_t turn)
{
	struct pollfd p = {.fd = t->fd, .events = POLLIN};
	for (uint32_t i = 0; i < turn; i++) {
		int r = send_packet(t, SMALL);
		if (r < 0)
			return r;
		while (!(frame_status(t, i) & TP_STATUS_USER)) { /* the softirq is late */
			if (is_late(t))
				return -ETIMEDOUT;
			poll(&p, 1, 1);
		}
	}
	return 0;
}

/* --- version 3 --- */

static struct tpacket_hdr_v1 *header(const struct turning *t, uint64_t number)
{
	const PacketRing *r = t->e->rx_ring;
	size_t at = (size_t)((number - 1) % r->block_nr) * r->block_size;
	return &((struct tpacket_block_desc *)(void *)(t->map + at))->hdr.bh1;
}

/* The number of the open block, having released those before. */
static uint64_t open_block(const struct turning *t, uint64_t from)
{
	while (__atomic_load_n(&header(t, from)->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) {
		__atomic_store_n(
			&header(t, from)->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		from++;
	}
	return from;
}

static bool is_filled(const struct turning *t, uint64_t number)
{
	return __atomic_load_n(&header(t, number)->num_pkts, __ATOMIC_ACQUIRE) != 0;
}

/* Sends one, and sees it come: none may be on its way when the last block is open. */
static int send_and_wait(const struct turning *t, uint64_t *now, size_t len)
{
	const uint64_t open = *now;
	struct pollfd p = {.fd = t->fd, .events = POLLIN};
	uint32_t before = __atomic_load_n(&header(t, open)->num_pkts, __ATOMIC_ACQUIRE);
	int r = send_packet(t, len);
	while (r >= 0 && (*now = open_block(t, open)) == open &&
		__atomic_load_n(&header(t, open)->num_pkts, __ATOMIC_ACQUIRE) == before) {
		if (is_late(t))
			return -ETIMEDOUT;
		poll(&p, 1, 1);
	}
	return r;
}

static int turn_blocks(const struct turning *t, uint32_t turn)
{
	struct pollfd p = {.fd = t->fd, .events = POLLIN};
	size_t half = t->e->rx_ring->block_size / 2, len = half < LARGE ? half : LARGE;
	uint64_t now = 1;
	int r = 0;
	while (r >= 0 && (now = open_block(t, now)) < turn) {
		if (is_late(t))
			r = -ETIMEDOUT;
		else if (now + 1 <
			 turn) /* what does not fit closes the block, and is in the next */
			r = send_and_wait(t, &now, len);
		else if (!is_filled(t, now))
			r = send_and_wait(t, &now, SMALL);
		else
			poll(&p, 1, 1);
	}
	return r < 0 ? r : now == turn && !is_filled(t, now) ? 0 : -EAGAIN;
}

/* --- */

int packet_ring_turn(const PacketSockEntry *e, int fd, char *map, uint32_t turn)
{
	const struct sockaddr_ll lo = {
		.sll_family = AF_PACKET, .sll_protocol = htons(PROTOCOL), .sll_ifindex = LOOPBACK};
	struct sock_filter drop_all = {.code = BPF_RET | BPF_K};
	const struct sock_fprog filter = {.len = 1, .filter = &drop_all};
	bool blocks = e->version == TPACKET_V3;
	if (turn == (blocks ? 1u : 0u))
		return 0;
	_cleanup_free_ char *packet = calloc(1, LARGE);
	_cleanup_close_ int sender = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct turning t = {.e = e, .fd = fd, .sender = sender, .map = map, .packet = packet};
	clock_gettime(CLOCK_MONOTONIC, &t.begin);
	if (!packet || sender < 0)
		return packet ? -errno : -ENOMEM;
	if (bind(fd, (const struct sockaddr *)&lo, sizeof(lo)) < 0)
		return -errno;
	int r = blocks ? turn_blocks(&t, turn) : turn_frames(&t, turn);
	if (r >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		r = -errno;
	return r;
}
