/*
 * packet_odd DIR KIND: a packet socket with a packet that was not read, or with a ring. It is so
 * still after the dump was refused.
 * VARIANTS: scenario
 */
#include "check.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

enum { PROTOCOL = 0x88b5 };

int main(int argc, char **argv)
{
	struct sockaddr_ll lo = {.sll_family = AF_PACKET,
		.sll_protocol = htons(PROTOCOL),
		.sll_ifindex = 1,
		.sll_halen = 6};
	struct tpacket_req ring = {PAGE, 4, 2048, 8};
	char byte = 1;

	setup(argc, argv);
	bool unread = argc > 2 && !strcmp(argv[2], "unread");
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	NEED(fd >= 0 && !bind(fd, (struct sockaddr *)&lo, sizeof(lo)));
	if (unread)
		SAME(sendto(fd, &byte, 1, 0, (struct sockaddr *)&lo, sizeof(lo)), 1);
	else
		NEED(!setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)));
	park();
	if (unread)
		SAME(recv(fd, &byte, 1, MSG_DONTWAIT), 1);
	ok();
}
