/*
 * Rings of packet sockets, versions 1, 2 and 3: the kernel goes on where it was, in the middle of
 * the ring and after it went round; frames and blocks that wait are there, those that come are put
 * behind them; a ring in two tasks; one for sending; all mapped where they were.
 * PROVES: F182
 */
#include "check.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

enum {
	PROTOCOL = 0x88b5,
	FRAMES = 8,
	FRAME = 2048,
	RING = FRAMES * FRAME,
	BLOCKS = 4,
	BLOCK = 4 * PAGE,
	SENT = 64,
	LARGE = 7000,
};

static int sender;

struct ring {
	int fd, version;
	char *map;
	unsigned at; /* where the program reads on: frame or block */
	uint64_t block;
};

static void send_packet(int protocol, char mark, size_t len)
{
	static char text[LARGE];
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = 1,
		.sll_halen = 6};

	memset(text, mark, sizeof(text));
	SAME(sendto(sender, text, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
}

static struct ring make_ring(int version, int protocol)
{
	struct ring r = {.version = version, .fd = socket(AF_PACKET, SOCK_DGRAM, 0)};
	struct sockaddr_ll lo = {
		.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = 1};
	struct tpacket_req3 req = {.tp_block_size = PAGE,
		.tp_block_nr = RING / PAGE,
		.tp_frame_size = FRAME,
		.tp_frame_nr = FRAMES};
	size_t size = RING;

	if (version == TPACKET_V3) {
		req = (struct tpacket_req3){BLOCK, BLOCKS, FRAME, BLOCKS * BLOCK / FRAME, 20, 0, 0};
		size = BLOCKS * BLOCK;
	}
	NEED(r.fd >= 0 && !setsockopt(r.fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)));
	NEED(!setsockopt(r.fd, SOL_PACKET, PACKET_RX_RING, &req,
		version == TPACKET_V3 ? sizeof(req) : sizeof(struct tpacket_req)));
	r.map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	NEED(r.map != MAP_FAILED);
	NEED(!bind(r.fd, (struct sockaddr *)&lo, sizeof(lo)));
	r.block = 1;
	return r;
}

static void wait_for(struct ring *r, volatile uint32_t *status)
{
	struct pollfd p = {.fd = r->fd, .events = POLLIN};

	for (int i = 0; i < 5000 && !(*status & TP_STATUS_USER); i++)
		poll(&p, 1, 1);
	NEED(*status & TP_STATUS_USER);
}

static void take_frame(struct ring *r, char mark, size_t len)
{
	char *frame = r->map + r->at * FRAME;
	struct tpacket2_hdr *two = (struct tpacket2_hdr *)frame;
	struct tpacket_hdr *one = (struct tpacket_hdr *)frame;

	wait_for(r, (uint32_t *)frame);
	SAME(r->version == TPACKET_V1 ? one->tp_len : two->tp_len, len);
	SAME(frame[r->version == TPACKET_V1 ? one->tp_net : two->tp_net], mark);
	if (r->version == TPACKET_V1)
		one->tp_status = TP_STATUS_KERNEL;
	else
		two->tp_status = TP_STATUS_KERNEL;
	r->at = (r->at + 1) % FRAMES;
}

static void take_block(struct ring *r, const char *marks)
{
	struct tpacket_block_desc *b =
		(struct tpacket_block_desc *)(r->map + (r->block - 1) % BLOCKS * BLOCK);
	struct tpacket3_hdr *p =
		(struct tpacket3_hdr *)((char *)b + b->hdr.bh1.offset_to_first_pkt);

	wait_for(r, &b->hdr.bh1.block_status);
	SAME(b->hdr.bh1.seq_num, r->block);
	SAME(b->hdr.bh1.num_pkts, strlen(marks));
	for (; *marks; marks++) {
		SAME(((char *)p)[p->tp_net], *marks);
		SAME(p->tp_next_offset == 0, marks[1] == 0);
		p = (struct tpacket3_hdr *)((char *)p + p->tp_next_offset);
	}
	b->hdr.bh1.block_status = TP_STATUS_KERNEL;
	r->block++;
}

static bool is_empty(struct ring *r)
{
	return !(*(uint32_t *)(r->map + r->at * FRAME) & TP_STATUS_USER);
}

static void child(void *arg)
{
	struct ring *shared = arg;

	child_park();
	await("turn");
	shared->at = (shared->at + 1) % FRAMES; /* the parent's */
	take_frame(shared, 'c', SENT);
}

int main(int argc, char **argv)
{
	struct ring fresh, round[2], waiting[2], three[2], shared, out;
	struct tpacket_req req = {PAGE, 1, FRAME, PAGE / FRAME};
	static const int versions[2] = {TPACKET_V1, TPACKET_V2};

	setup(argc, argv);
	sender = socket(AF_PACKET, SOCK_DGRAM, 0);
	if (sender < 0)
		skip("no packet sockets here");
	int sniffer = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, htons(0x88b6));
	NEED(sniffer >= 0);
	fresh = make_ring(TPACKET_V2, PROTOCOL + 16);
	for (int i = 0; i < 2; i++) {
		round[i] = make_ring(versions[i], PROTOCOL + 17 + i);
		for (int k = 0; k < FRAMES + 3; k++) {
			send_packet(PROTOCOL + 17 + i, 'r', SENT);
			nap_us(10);
			take_frame(&round[i], 'r', SENT);
		}
		waiting[i] = make_ring(versions[i], PROTOCOL + 19 + i);
		for (int k = 0; k < 5; k++) {
			send_packet(PROTOCOL + 19 + i, 'a' + k, SENT + k);
			nap_us(10);
		}
		for (int k = 0; k < 2; k++)
			take_frame(&waiting[i], 'a' + k, SENT + k);
	}
	shared = make_ring(TPACKET_V2, PROTOCOL + 21);
	send_packet(PROTOCOL + 21, 's', SENT);
	take_frame(&shared, 's', SENT);

	/* blocks: read and gone round; closed and not read; open with packets */
	three[0] = make_ring(TPACKET_V3, PROTOCOL + 22);
	for (int i = 0; i < BLOCKS + 1; i++) {
		send_packet(PROTOCOL + 22, 'b', SENT);
		take_block(&three[0], "b");
	}
	three[1] = make_ring(TPACKET_V3, PROTOCOL + 23);
	for (int i = 0; i < 3; i++)
		send_packet(PROTOCOL + 23, 'x' + i, LARGE); /* two fit */

	/* for sending */
	out = (struct ring){.fd = socket(AF_PACKET, SOCK_DGRAM, 0), .version = TPACKET_V2};
	NEED(!setsockopt(out.fd, SOL_PACKET, PACKET_VERSION, &out.version, sizeof(int)));
	NEED(!setsockopt(out.fd, SOL_PACKET, PACKET_TX_RING, &req, sizeof(req)));
	out.map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, out.fd, 0);
	NEED(out.map != MAP_FAILED);
	pid_t pid = spawn(child, &shared);
	await_child(pid);

	park();
	NEED(recv(sniffer, &req, 1, 0) == -1 && errno == EAGAIN);
	NEED(is_empty(&fresh));
	send_packet(PROTOCOL + 16, 'f', SENT);
	take_frame(&fresh, 'f', SENT);
	for (int i = 0; i < 2; i++) {
		NEED(is_empty(&round[i]));
		send_packet(PROTOCOL + 17 + i, 'n', SENT + 1);
		take_frame(&round[i], 'n', SENT + 1);
		NEED(is_empty(&round[i]));
		send_packet(PROTOCOL + 19 + i, 'z', SENT);
		for (int k = 2; k < 5; k++)
			take_frame(&waiting[i], 'a' + k, SENT + k);
		take_frame(&waiting[i], 'z', SENT);
		NEED(is_empty(&waiting[i]));
	}
	/* what one of both tasks takes is taken for the other */
	send_packet(PROTOCOL + 21, 'p', SENT);
	take_frame(&shared, 'p', SENT);
	send_packet(PROTOCOL + 21, 'c', SENT);
	say("turn", "");
	need_exit(pid, 0);
	shared.at = (shared.at + 1) % FRAMES;
	NEED(is_empty(&shared));

	send_packet(PROTOCOL + 22, 'q', SENT);
	take_block(&three[0], "q");
	take_block(&three[1], "xy");
	take_block(&three[1], "z");
	send_packet(PROTOCOL + 23, 'w', SENT);
	take_block(&three[1], "w");

	struct tpacket2_hdr *frame = (struct tpacket2_hdr *)out.map;
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(PROTOCOL + 16),
		.sll_ifindex = 1,
		.sll_halen = 6};
	memset(out.map + TPACKET2_HDRLEN - sizeof(struct sockaddr_ll), 't', SENT);
	frame->tp_len = SENT;
	frame->tp_status = TP_STATUS_SEND_REQUEST;
	NEED(sendto(out.fd, NULL, 0, 0, (struct sockaddr *)&to, sizeof(to)) == SENT);
	take_frame(&fresh, 't', SENT);
	ok();
}
