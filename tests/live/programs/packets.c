/*
 * Packet sockets: of both types, on one interface and on all, started and not, with options,
 * memberships, a filter, two in a fanout group, among many other descriptors; they go on taking
 * and sending packets.  (Rings: packet_rings.c.)
 * PROVES: F183
 */
#include "check.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

enum { PROTOCOL = 0x88b5 /* for experiments */, OTHER = 0x88b6, LOOPBACK = 1, PIPES = 100 };

static int on_lo, cooked, idle, all, fan[2], sender, pipes[PIPES][2];

static int make(int type, int protocol, int interface)
{
	struct sockaddr_ll name = {
		.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = interface};
	int fd = socket(AF_PACKET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 && errno == EAFNOSUPPORT)
		skip("this kernel has no packet sockets");
	NEED(fd >= 0);
	if (protocol)
		NEED(!bind(fd, (struct sockaddr *)&name, sizeof(name)));
	return fd;
}

static int option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	NEED(!getsockopt(fd, level, name, &value, &len));
	return value;
}

static void set(int fd, int name, int value)
{
	NEED(!setsockopt(fd, SOL_PACKET, name, &value, sizeof(value)));
}

static void send_packet(int protocol, const char *text)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = LOOPBACK,
		.sll_halen = 6};

	SAME(sendto(sender, text, 60, 0, (struct sockaddr *)&to, sizeof(to)), 60);
}

static void receive(int fd, const char *text, size_t header)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char buf[200];

	SAME(poll(&p, 1, 5000), 1);
	SAME(recv(fd, buf, sizeof(buf), 0), 60 + header);
	NEED(!strcmp(buf + header, text));
}

static void nothing(int fd)
{
	char byte;

	SAME(recv(fd, &byte, 1, 0), -1);
	SAME(errno, EAGAIN);
}

static int interface_of(int fd, int protocol)
{
	struct sockaddr_ll name;
	socklen_t len = sizeof(name);

	NEED(!getsockname(fd, (struct sockaddr *)&name, &len));
	SAME(ntohs(name.sll_protocol), protocol);
	return name.sll_ifindex;
}

static bool lo_takes_group(void)
{
	static char text[65536];

	slurp("/proc/net/dev_mcast", text, sizeof(text));
	return strstr(text, "01005e010203") != NULL;
}

int main(int argc, char **argv)
{
	static char text[60] = "a packet", drop[60] = "drop it";
	/* lets pass what does not begin with d, behind the header */
	struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'd', 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0xffff)};
	struct sock_fprog filter = {4, code};
	struct packet_mreq promiscuous = {.mr_ifindex = LOOPBACK, .mr_type = PACKET_MR_PROMISC};
	struct packet_mreq group = {.mr_ifindex = LOOPBACK,
		.mr_type = PACKET_MR_MULTICAST,
		.mr_alen = 6,
		.mr_address = {1, 0, 0x5e, 1, 2, 3}};

	setup(argc, argv);
	for (int i = 0; i < PIPES; i++)
		NEED(!pipe(pipes[i]));
	on_lo = make(SOCK_RAW, PROTOCOL, LOOPBACK);
	NEED(!setsockopt(on_lo, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)));
	set(on_lo, PACKET_AUXDATA, 1);
	set(on_lo, PACKET_ORIGDEV, 1);
	set(on_lo, PACKET_IGNORE_OUTGOING, 1);
	NEED(!setsockopt(
		on_lo, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)));
	NEED(!setsockopt(on_lo, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof(group)));
	NEED(!setsockopt(on_lo, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof(group)));
	cooked = make(SOCK_DGRAM, PROTOCOL, LOOPBACK);
	set(cooked, PACKET_IGNORE_OUTGOING, 1);
	idle = make(SOCK_RAW, 0, 0);
	set(idle, PACKET_VERSION, TPACKET_V2);
	set(idle, PACKET_RESERVE, 64);
	set(idle, PACKET_TIMESTAMP, 8);
	set(idle, PACKET_LOSS, 1);
	all = make(SOCK_DGRAM, OTHER, 0);
	set(all, PACKET_IGNORE_OUTGOING, 1);
	for (int i = 0; i < 2; i++) {
		fan[i] = make(SOCK_DGRAM, OTHER, LOOPBACK);
		set(fan[i], PACKET_IGNORE_OUTGOING, 1);
		set(fan[i], PACKET_FANOUT, 77 | PACKET_FANOUT_LB << 16);
	}
	sender = make(SOCK_DGRAM, 0, 0);
	park();
	nothing(on_lo);
	nothing(cooked);
	SAME(interface_of(on_lo, PROTOCOL), LOOPBACK);
	SAME(interface_of(idle, 0), 0);
	SAME(interface_of(all, OTHER), 0);
	SAME(option(on_lo, SOL_PACKET, PACKET_AUXDATA), 1);
	SAME(option(on_lo, SOL_PACKET, PACKET_ORIGDEV), 1);
	SAME(option(on_lo, SOL_PACKET, PACKET_IGNORE_OUTGOING), 1);
	SAME(option(idle, SOL_PACKET, PACKET_VERSION), TPACKET_V2);
	SAME(option(idle, SOL_PACKET, PACKET_RESERVE), 64);
	SAME(option(idle, SOL_PACKET, PACKET_TIMESTAMP), 8);
	SAME(option(idle, SOL_PACKET, PACKET_LOSS), 1);
	SAME(option(cooked, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
	send_packet(PROTOCOL, drop);
	send_packet(PROTOCOL, text);
	receive(on_lo, text, ETH_HLEN);
	nothing(on_lo);
	receive(cooked, drop, 0);
	receive(cooked, text, 0);
	/* each of the group gets one of two, who is not in it gets both */
	SAME(option(fan[1], SOL_PACKET, PACKET_FANOUT), 77 | PACKET_FANOUT_LB << 16);
	send_packet(OTHER, text);
	send_packet(OTHER, text);
	for (int i = 0; i < 2; i++) {
		receive(fan[i], text, 0);
		nothing(fan[i]);
		receive(all, text, 0);
	}
	/* joined twice: it takes two to leave */
	for (int i = 0; i < 2; i++) {
		NEED(lo_takes_group());
		NEED(!setsockopt(on_lo, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &group, sizeof(group)));
	}
	NEED(!lo_takes_group());
	for (int i = 0; i < PIPES; i++) {
		NEED(write(pipes[i][1], &i, sizeof(i)) == sizeof(i));
		int back = -1;
		NEED(read(pipes[i][0], &back, sizeof(back)) == sizeof(back));
		SAME(back, i);
	}
	ok();
}
