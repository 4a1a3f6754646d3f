/*
 * One socket, which its argument tells, that depends on an interface or a number that may be gone:
 * in a multicast group there, a packet socket there or with a membership there, a netlink port.
 * VARIANTS: scenario
 */
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/if.h>

#include "inet.h"

enum { PORT_ID = 0x5550 };

static int index_of(const char *name)
{
	int index = if_nametoindex(name);

	NEED(index);
	return index;
}

static void join(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ip_mreqn j = {.imr_ifindex = index_of("gone0")};

	j.imr_multiaddr.s_addr = inet_addr("239.7.7.7");
	NEED(!setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &j, sizeof(j)));
}

static void join6(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	struct ipv6_mreq j = {.ipv6mr_interface = index_of("gone0")};

	NEED(inet_pton(AF_INET6, "ff02::1:77", &j.ipv6mr_multiaddr) == 1);
	NEED(!setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &j, sizeof(j)));
}

static void be_on(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll a = {.sll_family = AF_PACKET,
		.sll_protocol = htons(0x88b5),
		.sll_ifindex = index_of("gone0")};

	NEED(!bind(fd, (struct sockaddr *)&a, sizeof(a)));
	get_opt(fd, SOL_SOCKET, SO_ERROR); /* that the interface is down */
}

static void want_all(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct packet_mreq j = {.mr_ifindex = index_of("gone0"), .mr_type = PACKET_MR_PROMISC};

	NEED(!setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &j, sizeof(j)));
}

static void take_port(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, 0);
	struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_pid = PORT_ID};

	NEED(!bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*make)(void);
	} kinds[] = {{"join", join}, {"join6", join6}, {"on", be_on}, {"all", want_all},
		{"port", take_port}};

	setup(argc, argv);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].name, argv[2]))
			kinds[i].make();
	park();
	ok();
}
