/*
 * Netlink sockets: bound by the kernel and by hand, unbound, with groups beyond the first word,
 * connected, options, one of audit; the same after restore, and requests are answered.
 * PROVES: F178 F180
 */
#include "check.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

static int chosen, given, unbound, grouped, connected, plain, audit, events;
static uint32_t chosen_port;

static int make(int type, int protocol, uint32_t port, uint32_t groups, bool bound)
{
	struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups};
	int fd = socket(AF_NETLINK, type | SOCK_CLOEXEC, protocol);

	NEED(fd >= 0);
	if (bound)
		NEED(!bind(fd, (struct sockaddr *)&name, sizeof(name)));
	return fd;
}

static uint32_t port_of(int fd)
{
	struct sockaddr_nl name;
	socklen_t len = sizeof(name);

	NEED(!getsockname(fd, (struct sockaddr *)&name, &len));
	return name.nl_pid;
}

static int option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	NEED(!getsockopt(fd, level, name, &value, &len));
	return value;
}

static bool in_group(int fd, int group)
{
	uint32_t words[16] = {0};
	socklen_t len = sizeof(words);

	NEED(!getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &len));
	return words[(group - 1) / 32] >> (group - 1) % 32 & 1;
}

/* Asks for the loopback interface; the answer comes to this socket. */
static void ask(int fd)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} request = {{sizeof(request), RTM_GETLINK, NLM_F_REQUEST, 7, 0}, {.ifi_index = 1}};
	char answer[8192];
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	SAME(sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&kernel, sizeof(kernel)),
		sizeof(request));
	ssize_t n = recv(fd, answer, sizeof(answer), 0);
	NEED(n > (ssize_t)sizeof(struct nlmsghdr));
	struct nlmsghdr *head = (void *)answer;
	SAME(head->nlmsg_type, RTM_NEWLINK);
	SAME(head->nlmsg_seq, 7);
	SAME(head->nlmsg_pid, port_of(fd));
}

/* A change that the kernel tells those in RTNLGRP_LINK. */
static void change(int fd)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
		struct rtattr attr;
		uint32_t mtu;
	} request = {{sizeof(request), RTM_NEWLINK, NLM_F_REQUEST, 8, 0}, {.ifi_index = 1},
		{8, IFLA_MTU}, 40000};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	SAME(sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&kernel, sizeof(kernel)),
		sizeof(request));
}

int main(int argc, char **argv)
{
	int on = 1, late_group = 35;

	setup(argc, argv);
	chosen = make(SOCK_RAW, NETLINK_ROUTE, 0, 0, true);
	chosen_port = port_of(chosen);
	given = make(SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE, 0x7654321, 0, true);
	unbound = make(SOCK_RAW, NETLINK_GENERIC, 0, 0, false);
	grouped = make(SOCK_RAW, NETLINK_ROUTE, 0, RTMGRP_IPV4_ROUTE | RTMGRP_NEIGH, true);
	NEED(!setsockopt(grouped, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &late_group, sizeof(int)));
	events = make(SOCK_RAW, NETLINK_ROUTE, 0, RTMGRP_LINK, true);
	connected = make(SOCK_RAW, NETLINK_USERSOCK, 0, 0, true);
	struct sockaddr_nl peer = {.nl_family = AF_NETLINK, .nl_pid = 0x1234};
	NEED(!connect(connected, (struct sockaddr *)&peer, sizeof(peer)));
	plain = make(SOCK_DGRAM, NETLINK_ROUTE, 0, 0, true);
	NEED(!setsockopt(plain, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)));
	NEED(!setsockopt(plain, SOL_NETLINK, NETLINK_PKTINFO, &on, sizeof(on)));
	NEED(!setsockopt(plain, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)));
	NEED(!setsockopt(plain, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	audit = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT); /* where there is one */
	ask(chosen);
	park();
	SAME(port_of(chosen), chosen_port);
	ask(chosen);
	SAME(port_of(given), 0x7654321);
	NEED(fcntl(given, F_GETFL) & O_NONBLOCK);
	SAME(recv(given, &on, sizeof(on), 0), -1);
	SAME(errno, EAGAIN);
	SAME(option(unbound, SOL_SOCKET, SO_PROTOCOL), NETLINK_GENERIC);
	SAME(port_of(unbound), 0);
	NEED(in_group(grouped, RTNLGRP_IPV4_ROUTE) && in_group(grouped, RTNLGRP_NEIGH));
	NEED(in_group(grouped, late_group) && !in_group(grouped, RTNLGRP_LINK));
	socklen_t len = sizeof(peer);
	NEED(!getpeername(connected, (struct sockaddr *)&peer, &len));
	SAME(peer.nl_pid, 0x1234);
	SAME(option(plain, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
	SAME(option(plain, SOL_NETLINK, NETLINK_EXT_ACK), 1);
	SAME(option(plain, SOL_NETLINK, NETLINK_PKTINFO), 1);
	SAME(option(plain, SOL_NETLINK, NETLINK_GET_STRICT_CHK), 1);
	SAME(option(plain, SOL_NETLINK, NETLINK_CAP_ACK), 0);
	SAME(option(plain, SOL_SOCKET, SO_PASSCRED), 1);
	if (audit >= 0)
		SAME(option(audit, SOL_SOCKET, SO_PROTOCOL), NETLINK_AUDIT);
	change(chosen);
	struct pollfd p = {.fd = events, .events = POLLIN};
	SAME(poll(&p, 1, 5000), 1);
	ok();
}
