/*
 * Datagrams that wait in UDP and UDP-Lite sockets: contents, boundaries, empty ones, order, senders
 * that are alive, closed and far away, destination, interface, TTL and TOS; in sockets bound to an
 * address, to all, by connect, connected after it came, shared by SO_REUSEPORT, shut down, with
 * SO_PEEK_OFF; IPv4, IPv6, v4-mapped. Raw and packet sockets beside them see nothing of it.
 * PROVES: F156 F157 F177
 */
#include "inet.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif

enum { LARGE = 60000, MANY = 200 };

static char data[LARGE + 1], got[LARGE + 1];

static void send_to(int from, int to, const char *text, size_t len)
{
	struct sockaddr_storage name;
	socklen_t name_len = sizeof(name);

	NEED(!getsockname(to, (struct sockaddr *)&name, &name_len));
	NEED(sendto(from, text, len, 0, (struct sockaddr *)&name, name_len) == (ssize_t)len);
}

static void need(int fd, const char *text, size_t len, int sender)
{
	struct sockaddr_storage from, want;
	socklen_t from_len = sizeof(from), want_len = sizeof(want);
	ssize_t n =
		recvfrom(fd, got, sizeof(got), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

	SAME(n, len);
	NEED(!memcmp(got, text, len));
	if (sender < 0)
		return;
	NEED(!getsockname(sender, (struct sockaddr *)&want, &want_len));
	SAME(from_len, want_len);
	NEED(!memcmp(&from, &want, want_len));
}

/* Four datagrams in every kind of address; the second sender is closed at once. */
static void fill_queue(int which, int protocol, int fds[2])
{
	int closed = bound_socket(which, SOCK_DGRAM, protocol, 0, false);

	fds[0] = bound_socket(which, SOCK_DGRAM, protocol, 0, false);
	fds[1] = bound_socket(which, SOCK_DGRAM, protocol, 0, false);
	send_to(fds[1], fds[0], "first", 5);
	send_to(fds[1], fds[0], "", 0);
	send_to(closed, fds[0], "second", 6);
	send_to(fds[1], fds[0], data, LARGE);
	send_to(fds[1], fds[0], "x", 1);
	close(closed);
}

static void check_queue(int fds[2])
{
	need(fds[0], "first", 5, fds[1]);
	need(fds[0], "", 0, fds[1]);
	need(fds[0], "second", 6, -1);
	need(fds[0], data, LARGE, fds[1]);
	need(fds[0], "x", 1, fds[1]);
	need_empty(fds[0]);
	send_to(fds[1], fds[0], "late", 4);
	need(fds[0], "late", 4, fds[1]);
}

/* From an address far away, with a TTL and TOS of its own, to another local address. */
static int far_sender(int port, const char *address)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	name.sin_addr.s_addr = inet_addr(address);
	set_opt(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	set_opt(fd, IPPROTO_IP, IP_TTL, 33);
	set_opt(fd, IPPROTO_IP, IP_TOS, 0x28);
	NEED(!bind(fd, (struct sockaddr *)&name, sizeof(name)));
	return fd;
}

static void send_far(int port, const char *from, const char *to, int to_port)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(to_port)};
	int fd = far_sender(port, from);

	name.sin_addr.s_addr = inet_addr(to);
	NEED(sendto(fd, from, strlen(from), 0, (struct sockaddr *)&name, sizeof(name)) > 0);
	close(fd);
}

static void need_far(int fd, const char *from, int port, const char *to)
{
	char control[256];
	struct sockaddr_in name;
	struct iovec iov = {got, sizeof(got)};
	struct msghdr msg = {&name, sizeof(name), &iov, 1, control, sizeof(control), 0};
	int seen = 0;

	SAME(recvmsg(fd, &msg, MSG_DONTWAIT), strlen(from));
	NEED(!memcmp(got, from, strlen(from)));
	SAME(name.sin_addr.s_addr, inet_addr(from));
	SAME(ntohs(name.sin_port), port);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(c);

		seen++;
		if (c->cmsg_type == IP_TTL)
			SAME(*(int *)CMSG_DATA(c), 33);
		else if (c->cmsg_type == IP_TOS)
			SAME(*CMSG_DATA(c), 0x28);
		else if (c->cmsg_type == IP_PKTINFO)
			NEED(info->ipi_addr.s_addr == inet_addr(to) && info->ipi_ifindex == 1);
		else
			bad("control message %d", c->cmsg_type);
	}
	SAME(seen, 3);
}

static int bound_any(int family, int port)
{
	struct sockaddr_storage name = {.ss_family = family};
	int fd = socket(family, SOCK_DGRAM, 0);

	((struct sockaddr_in *)&name)->sin_port = htons(port);
	NEED(!bind(fd, (struct sockaddr *)&name, sizeof(struct sockaddr_in6)));
	return fd;
}

/* From either kind of address to the port of a socket that takes both. */
static void send_local(int family, int port, const char *text)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(family, SOCK_DGRAM, 0);

	four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	six.sin6_addr = in6addr_loopback;
	NEED(sendto(fd, text, strlen(text), 0,
		     family == AF_INET ? (void *)&four : (void *)&six,
		     family == AF_INET ? sizeof(four) : sizeof(six)) > 0);
	close(fd);
}

static void need_none(int fd)
{
	while (recv(fd, got, sizeof(got), MSG_DONTWAIT) > 0)
		for (size_t i = 0; i < 200; i++)
			NEED(memcmp(got + i, "first", 5) != 0);
}

int main(int argc, char **argv)
{
	int of[2][N_ADDRESSES][2], group[2], senders[2], port;
	static const int protocols[2] = {IPPROTO_UDP, IPPROTO_UDPLITE};
	struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};

	setup(argc, argv);
	fill(data, LARGE, 7);
	int packet = socket(AF_PACKET, SOCK_RAW, 0); /* made first, restored first */
	for (int p = 0; p < 2; p++)
		for (int a = 0; a < N_ADDRESSES; a++)
			fill_queue(a, protocols[p], of[p][a]);

	/* to all addresses, from afar, with all that can be told */
	int any = bound_any(AF_INET, 0), quiet = bound_any(AF_INET, 0);
	set_opt(any, IPPROTO_IP, IP_PKTINFO, 1);
	set_opt(any, IPPROTO_IP, IP_RECVTTL, 1);
	set_opt(any, IPPROTO_IP, IP_RECVTOS, 1);
	send_far(99, "203.0.113.7", "127.0.0.1", port_of(any));
	send_far(1, "127.0.0.99", "127.0.0.9", port_of(any));
	send_far(99, "203.0.113.7", "127.0.0.1", port_of(quiet));

	/* whoever sent what waits, others can send more */
	int dual[2] = {bound_any(AF_INET6, 0), bound_any(AF_INET6, 0)};
	for (int i = 0; i < 2; i++)
		send_local(i ? AF_INET6 : AF_INET, port_of(dual[i]), "early");

	/* sharing a port, each with its own */
	for (int i = 0; i < 2; i++) {
		struct sockaddr_storage name;
		socklen_t len = name_at(0, i ? port_of(group[0]) : 0, &name);

		group[i] = socket(AF_INET, SOCK_DGRAM, 0);
		set_opt(group[i], SOL_SOCKET, SO_REUSEPORT, 1);
		NEED(!bind(group[i], (struct sockaddr *)&name, len));
		senders[i] = bound_socket(0, SOCK_DGRAM, 0, 0, false);
		NEED(!getsockname(senders[i], (struct sockaddr *)&name, &len));
		NEED(!connect(group[i], (struct sockaddr *)&name, len)); /* who gets it */
		send_to(senders[i], group[i], i ? "one" : "zero", 3 + !i);
	}
	/* the first was bound to port 0, and so has none any more */
	for (int i = 0; i < 2; i++)
		NEED(!connect(group[i], &(struct sockaddr){AF_UNSPEC}, sizeof(struct sockaddr)));
	SAME(port_of(group[0]), 0);

	/* connected to another one since; shut down; small buffer; SO_PEEK_OFF */
	int late = bound_socket(0, SOCK_DGRAM, 0, 0, false), tail[2];
	send_to(senders[0], late, "before", 6);
	port = port_of(senders[1]);
	struct sockaddr_storage name;
	socklen_t len = name_at(0, port, &name);
	NEED(!connect(late, (struct sockaddr *)&name, len));
	NEED(!shutdown(late, SHUT_RD));
	tail[0] = bound_socket(0, SOCK_DGRAM, 0, 0, false);
	tail[1] = bound_socket(0, SOCK_DGRAM, 0, 0, false);
	for (int i = 0; i < MANY; i++)
		send_to(tail[1], tail[0], data + i, i);
	set_opt(tail[0], SOL_SOCKET, SO_RCVBUF, 4096);
	set_opt(tail[0], SOL_SOCKET, SO_PEEK_OFF, 3);
	int small = get_opt(tail[0], SOL_SOCKET, SO_RCVBUF);

	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	NEED(raw >= 0 && packet >= 0 && !bind(packet, (struct sockaddr *)&all, sizeof(all)));

	park();
	need_none(packet);
	need_none(raw);
	for (int p = 0; p < 2; p++)
		for (int a = 0; a < N_ADDRESSES; a++)
			check_queue(of[p][a]);
	need_far(any, "203.0.113.7", 99, "127.0.0.1");
	need_far(any, "127.0.0.99", 1, "127.0.0.9");
	need_empty(any);
	need(quiet, "203.0.113.7", 11, -1);
	for (int i = 0; i < 2; i++) {
		need(dual[i], "early", 5, -1);
		send_local(AF_INET, port_of(dual[i]), "four");
		send_local(AF_INET6, port_of(dual[i]), "six");
		need(dual[i], "four", 4, -1);
		need(dual[i], "six", 3, -1);
	}
	SAME(get_opt(quiet, IPPROTO_IP, IP_PKTINFO), 0);
	SAME(get_opt(quiet, IPPROTO_IP, IP_RECVTTL), 0);
	SAME(get_opt(quiet, IPPROTO_IP, IP_RECVTOS), 0);
	SAME(get_opt(quiet, SOL_SOCKET, SO_PEEK_OFF), -1);
	for (int i = 0; i < 2; i++) {
		need(group[i], i ? "one" : "zero", 3 + !i, senders[i]);
		need_empty(group[i]);
	}
	SAME(port_of(group[0]), 0);
	need(late, "before", 6, senders[0]);
	SAME(recv(late, got, 1, 0), 0);
	SAME(get_opt(tail[0], SOL_SOCKET, SO_PEEK_OFF), 3);
	SAME(get_opt(tail[0], SOL_SOCKET, SO_RCVBUF), small);
	for (int i = 0; i < MANY; i++)
		need(tail[0], data + i, i, tail[1]);
	need_empty(tail[0]);
	ok();
}
