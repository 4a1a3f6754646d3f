/*
 * packet_odd DIR KIND: a packet socket that cannot be dumped: with a packet that was not read; with
 * a ring for sending that was used; with a ring of which a part is mapped, or whose descriptor is
 * closed. It is so still after the dump was refused.
 * VARIANTS: scenario
 */
#include "check.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

enum { PROTOCOL = 0x88b5, BLOCKS = 4, SENT = 60 };

static struct sockaddr_ll lo = {.sll_family = AF_PACKET, .sll_ifindex = 1, .sll_halen = 6};
static int fd;

static char *make_ring(int option)
{
	struct tpacket_req ring = {PAGE, BLOCKS, 2048, 2 * BLOCKS};
	int version = TPACKET_V2;

	NEED(!setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)));
	NEED(!setsockopt(fd, SOL_PACKET, option, &ring, sizeof(ring)));
	char *map = mmap(NULL, BLOCKS * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(map != MAP_FAILED);
	return map;
}

static void send_by_ring(void)
{
	struct tpacket2_hdr *frame = (struct tpacket2_hdr *)make_ring(PACKET_TX_RING);

	frame->tp_len = SENT;
	frame->tp_status = TP_STATUS_SEND_REQUEST;
	SAME(sendto(fd, NULL, 0, 0, (struct sockaddr *)&lo, sizeof(lo)), SENT);
}

int main(int argc, char **argv)
{
	char byte = 1, *map = NULL;
	const char *kind = argc > 2 ? argv[2] : "";

	setup(argc, argv);
	lo.sll_protocol = htons(PROTOCOL);
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	NEED(fd >= 0 && !bind(fd, (struct sockaddr *)&lo, sizeof(lo)));
	if (!strcmp(kind, "unread"))
		SAME(sendto(fd, &byte, 1, 0, (struct sockaddr *)&lo, sizeof(lo)), 1);
	else if (!strcmp(kind, "sending"))
		send_by_ring();
	else
		map = make_ring(PACKET_RX_RING);
	if (!strcmp(kind, "part"))
		NEED(!munmap(map + PAGE, PAGE));
	if (!strcmp(kind, "closed"))
		close(fd);
	park();
	if (!strcmp(kind, "unread"))
		SAME(recv(fd, &byte, 1, MSG_DONTWAIT), 1);
	ok();
}
