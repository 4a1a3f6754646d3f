/*
 * Rings of packet sockets (packet(7), packet_mmap.txt): PACKET_RX_RING and PACKET_TX_RING.
 *
 * packet_diag tells their sizes; the controller maps both and copies what is there, twice, until it
 * holds still.  Where the kernel goes on it does not tell, but the ring does: in versions 1 and 2
 * behind the newest time, in version 3 at the open block, which has the highest number. A block
 * that is open and not empty is closed in the copy, as its timer would soon have done.  At restore
 * packet_turn.c has the kernel go there, then the contents are written over.
 *
 * Refused: where times do not tell the place; a block number that it would take too long to
 * reach; a full ring of version 3; a ring for sending that was used, whose place cannot be known.
 * What comes between dump and restore is lost, as on any link; PACKET_STATISTICS begin anew.
 */
#include "socket/packet.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum {
	TRIES = 20,
	TIMER_MAX_MS = 2000,
	BLOCK_HEAD = sizeof(struct tpacket_block_desc),
	FRAME_HEAD = 32,
};
static const uint64_t fill_max = UINT64_C(256) << 20; /* bytes it may take to turn a ring */

static size_t ring_size(const PacketRing *r)
{
	return r ? (size_t)r->block_size * r->block_nr : 0;
}

size_t packet_rings_size(const PacketSockEntry *e)
{
	return ring_size(e->rx_ring) + ring_size(e->tx_ring);
}

static const char *frame_at(const PacketRing *r, const char *ring, uint32_t index)
{
	uint32_t per_block = r->block_size / r->frame_size;
	return ring + (size_t)(index / per_block) * r->block_size +
	       (size_t)(index % per_block) * r->frame_size;
}

static bool is_sane(const PacketRing *r)
{
	return !r || (r->block_size && r->block_size <= INT32_MAX && r->block_nr &&
			     r->frame_size >= FRAME_HEAD && r->frame_size <= r->block_size &&
			     (uint64_t)r->frame_nr ==
				     (uint64_t)(r->block_size / r->frame_size) * r->block_nr &&
			     r->block_size >= BLOCK_HEAD);
}

/* --- dump: where the kernel goes on; NULL or what is in the way --- */

static uint64_t stamp_of(const PacketSockEntry *e, const char *frame)
{
	struct tpacket_hdr one;
	struct tpacket2_hdr two;
	if (e->version == TPACKET_V1) {
		memcpy(&one, frame, sizeof(one));
		return one.tp_sec * UINT64_C(1000000000) + one.tp_usec * UINT64_C(1000);
	}
	memcpy(&two, frame, sizeof(two));
	return two.tp_sec * UINT64_C(1000000000) + two.tp_nsec;
}

static const char *find_frame(const PacketSockEntry *e, const char *map, uint32_t *ret)
{
	const PacketRing *r = e->rx_ring;
	uint32_t falls = 0, n = r->frame_nr;
	uint64_t first = stamp_of(e, map), last = first;
	*ret = 0;
	for (uint32_t i = 1; i <= n; i++) {
		uint64_t next = i < n ? stamp_of(e, frame_at(r, map, i)) : first;
		if (next < last) {
			*ret = i % n;
			falls++;
		}
		last = next;
	}
	if (falls > 1 || (!falls && first))
		return "whose times do not tell where it stands (was the clock set back?)";
	return NULL;
}

static struct tpacket_block_desc *block_at(const PacketRing *r, char *map, uint64_t number)
{
	return (void *)(map + (size_t)((number - 1) % r->block_nr) * r->block_size);
}

/* As prb_close_block() would when the timer ends. */
static bool close_block(const PacketRing *r, struct tpacket_block_desc *b)
{
	struct tpacket_hdr_v1 *h = &b->hdr.bh1;
	size_t at = h->offset_to_first_pkt;
	struct tpacket3_hdr *p = NULL;
	for (uint32_t i = 0; i < h->num_pkts; i++) {
		if (at % 8 || at + sizeof(*p) > r->block_size)
			return false;
		p = (void *)((char *)b + at);
		at += p->tp_next_offset;
	}
	if (!p)
		return false;
	p->tp_next_offset = 0;
	h->ts_last_pkt.ts_sec = p->tp_sec;
	h->ts_last_pkt.ts_nsec = p->tp_nsec;
	h->block_status = TP_STATUS_USER | TP_STATUS_BLK_TMO;
	return true;
}

static const char *find_block(const PacketSockEntry *e, char *map, uint32_t *ret)
{
	const PacketRing *r = e->rx_ring;
	uint64_t newest = 0;
	static const char full[] = "that is full: dump again when the program has read of it";
	for (uint32_t i = 1; i <= r->block_nr; i++)
		if (block_at(r, map, i)->hdr.bh1.seq_num > newest)
			newest = block_at(r, map, i)->hdr.bh1.seq_num;
	struct tpacket_block_desc *b = block_at(r, map, newest + !newest);
	if (!newest || b->hdr.bh1.seq_num != newest)
		return "whose block numbers do not tell where it stands";
	if (b->hdr.bh1.block_status & TP_STATUS_USER)
		return full;
	if (b->hdr.bh1.num_pkts) {
		if (block_at(r, map, newest + 1)->hdr.bh1.block_status & TP_STATUS_USER)
			return full;
		if (!close_block(r, b))
			return "whose open block cannot be understood";
		newest++;
	}
	if (newest > UINT32_MAX || (newest - 1) * r->block_size > fill_max)
		return "that has gone round too often for its block numbers to be reached again";
	if (newest > 1 && r->retire_tmo > TIMER_MAX_MS)
		return "whose timer takes too long";
	*ret = (uint32_t)newest;
	return NULL;
}

/* Where the kernel goes on sending is told by nothing: only a ring that was not used begins at 0.
 */
static const char *check_sending(const PacketSockEntry *e, const char *map)
{
	static const char zeros[FRAME_HEAD];
	const PacketRing *r = e->tx_ring;
	for (uint32_t i = 0; r && i < r->frame_nr; i++)
		if (memcmp(frame_at(r, map, i), zeros, FRAME_HEAD) != 0)
			return "for sending that was used: the kernel does not tell where it "
			       "stands";
	return NULL;
}

static int copy_still(const char *map, size_t size, char *ret)
{
	for (int i = 0; i < TRIES; i++) {
		memcpy(ret, map, size);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (memcmp(ret, map, size) == 0)
			return 0;
	}
	return -EAGAIN;
}

static int read_rings(int fd, size_t size, char *ret)
{
	char *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	int r = copy_still(map, size, ret);
	munmap(map, size);
	return r;
}

int packet_rings_dump(struct file_dump *d, const struct file_view *v, const PacketSockEntry *e,
	struct dumped_file *f)
{
	size_t size = packet_rings_size(e), rx = ring_size(e->rx_ring);
	const char *wrong = is_sane(e->rx_ring) && is_sane(e->tx_ring) ? NULL : "of odd sizes";
	char *copy = arena_alloc(&d->s->arena, size);
	int r = wrong ? 0 : read_rings(v->fd, size, copy);
	uint32_t turn = 0;
	if (r == -EAGAIN)
		wrong = "that is filled faster than it can be read: dump again in a calm moment";
	else if (r < 0)
		return fail(d->s, r, "pid %d %s: map the rings of a packet socket",
			v->from.task->vpid, view_label(d, v));
	if (!wrong && e->rx_ring)
		wrong = e->version == TPACKET_V3 ? find_block(e, copy, &turn)
						 : find_frame(e, copy, &turn);
	if (!wrong)
		wrong = check_sending(e, copy + rx);
	if (wrong) {
		view_block(d, v, NULL, "a packet socket (%s) with a ring %s", v->link, wrong);
		return 0;
	}
	FermataFileEntry *x = file_extra_make(d, f);
	x->has_packet_rings = x->has_packet_turn = true;
	x->packet_turn = turn;
	while (size && !copy[size - 1])
		size--;
	x->packet_rings.data = (uint8_t *)copy;
	x->packet_rings.len = size;
	d->predicted += size;
	return 0;
}

/* --- restore --- */

int packet_rings_check(struct file_set *f, const struct open_file *o)
{
	const PacketSockEntry *e = o->e->psk;
	const FermataFileEntry *x = o->extra;
	if (!e->rx_ring && !e->tx_ring)
		return 0;
	bool blocks = e->rx_ring && e->version == TPACKET_V3;
	if (!is_sane(e->rx_ring) || !is_sane(e->tx_ring) || e->version > TPACKET_V3 ||
		(x && x->packet_rings.len > packet_rings_size(e)) ||
		(x && blocks &&
			(!x->packet_turn || (uint64_t)x->packet_turn * e->rx_ring->block_size >
						    2 * fill_max + e->rx_ring->block_size)) ||
		(x && !blocks && e->rx_ring && x->packet_turn >= e->rx_ring->frame_nr))
		return fail(f->s, EBADMSG, "%s: the rings of its packet socket are not sane",
			open_file_label(f, o));
	return 0;
}

static int make_ring(const PacketSockEntry *e, const PacketRing *r, int option, int fd)
{
	struct tpacket_req3 req = {.tp_block_size = r->block_size,
		.tp_block_nr = r->block_nr,
		.tp_frame_size = r->frame_size,
		.tp_frame_nr = r->frame_nr};
	bool three = e->version == TPACKET_V3;
	if (three && option == PACKET_RX_RING) {
		req.tp_retire_blk_tov = r->retire_tmo;
		req.tp_sizeof_priv = r->sizeof_priv;
		req.tp_feature_req_word = r->features;
	}
	socklen_t len = three ? sizeof(req) : sizeof(struct tpacket_req);
	return setsockopt(fd, SOL_PACKET, option, &req, len) < 0 ? -errno : 0;
}

/* All but the head of the open block of version 3, which is the kernel's. */
static void write_contents(const PacketSockEntry *e, const FermataFileEntry *x, char *map)
{
	size_t size = packet_rings_size(e), kept = size, head = 0;
	if (e->rx_ring && e->version == TPACKET_V3) {
		kept = (size_t)((char *)block_at(e->rx_ring, map, x->packet_turn) - map);
		head = BLOCK_HEAD;
	}
	for (size_t at = 0; at < size;) {
		size_t end = at < kept ? kept : size;
		if (at == kept)
			at += head;
		size_t has = at < x->packet_rings.len ? x->packet_rings.len - at : 0;
		size_t n = has < end - at ? has : end - at;
		if (n)
			memcpy(map + at, x->packet_rings.data + at, n);
		memset(map + at + n, 0, end - at - n);
		at = end;
	}
}

int packet_rings_make(const struct open_file *o, int fd)
{
	const PacketSockEntry *e = o->e->psk;
	const FermataFileEntry *x = o->extra;
	struct tpacket_stats_v3 counted;
	socklen_t len = sizeof(counted);
	int r = e->rx_ring ? make_ring(e, e->rx_ring, PACKET_RX_RING, fd) : 0;
	if (r >= 0 && e->tx_ring)
		r = make_ring(e, e->tx_ring, PACKET_TX_RING, fd);
	if (r < 0 || !x || !x->has_packet_rings)
		return r; /* of the reference: empty */
	size_t size = packet_rings_size(e);
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	if (e->rx_ring)
		r = packet_ring_turn(e, fd, map, x->packet_turn);
	if (r >= 0)
		write_contents(e, x, map);
	munmap(map, size);
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &counted, &len);
	return r;
}
