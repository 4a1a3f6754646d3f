/*
 * UDP and UDP-Lite: bound, connected, bound by connect, shared by SO_REUSEADDR and SO_REUSEPORT,
 * shut down, IPv4, IPv6, v4-mapped; multicast membership. Datagrams pass as before, and only where
 * they passed before.
 * PROVES: F156 F157 F168
 */
#include "inet.h"

#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif

static int bound[2][N_ADDRESSES], connected[2][N_ADDRESSES];
static const int protocols[2] = {IPPROTO_UDP, IPPROTO_UDPLITE};

static int connected_to(int fd)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	int c, protocol = get_opt(fd, SOL_SOCKET, SO_PROTOCOL);

	NEED(!getsockname(fd, (struct sockaddr *)&name, &len));
	c = socket(name.ss_family, SOCK_DGRAM, protocol);
	NEED(c >= 0 && !connect(c, (struct sockaddr *)&name, len));
	return c;
}

static void exchange(int server, int client)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char text[16];

	NEED(send(client, "question", 8, 0) == 8);
	NEED(recvfrom(server, text, 16, 0, (struct sockaddr *)&from, &len) == 8);
	NEED(sendto(server, "answer", 6, 0, (struct sockaddr *)&from, len) == 6);
	NEED(recv(client, text, 16, 0) == 6 && !memcmp(text, "answer", 6));
}

int main(int argc, char **argv)
{
	struct sockaddr_storage names[2][N_ADDRESSES][2], now[2];
	int shared[2], group[2], shut[3], member;
	struct ip_mreqn join = {.imr_ifindex = 1};
	char text[16];

	setup(argc, argv);
	for (int p = 0; p < 2; p++)
		for (int a = 0; a < N_ADDRESSES; a++) {
			bound[p][a] = bound_socket(a, SOCK_DGRAM, protocols[p], 0, false);
			connected[p][a] = connected_to(bound[p][a]);
			names_of(connected[p][a], names[p][a]);
		}
	shared[0] = bound_socket(0, SOCK_DGRAM, 0, 0, true);
	shared[1] = bound_socket(0, SOCK_DGRAM, 0, port_of(shared[0]), true);
	set_opt(shared[0], SOL_SOCKET, SO_REUSEADDR, 0); /* they would not bind in any order now */
	for (int i = 0; i < 2; i++) {
		struct sockaddr_storage name;
		socklen_t len = name_at(0, i ? port_of(group[0]) : 0, &name);

		group[i] = socket(AF_INET, SOCK_DGRAM, 0);
		set_opt(group[i], SOL_SOCKET, SO_REUSEPORT, 1);
		NEED(!bind(group[i], (struct sockaddr *)&name, len));
	}
	for (int i = 0; i < 3; i++) {
		shut[i] = connected_to(bound[0][0]);
		NEED(!shutdown(shut[i], i));
	}
	member = bound_socket(0, SOCK_DGRAM, 0, 0, false);
	join.imr_multiaddr.s_addr = inet_addr("239.1.2.3");
	NEED(!setsockopt(member, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)));
	park();
	for (int p = 0; p < 2; p++)
		for (int a = 0; a < N_ADDRESSES; a++) {
			names_of(connected[p][a], now);
			NEED(!memcmp(now, names[p][a], sizeof(now)));
			exchange(bound[p][a], connected[p][a]);
		}
	SAME(get_opt(shared[0], SOL_SOCKET, SO_REUSEADDR), 0);
	SAME(get_opt(shared[1], SOL_SOCKET, SO_REUSEADDR), 1);
	SAME(port_of(shared[0]), port_of(shared[1]));
	for (int i = 0; i < 2; i++)
		SAME(get_opt(group[i], SOL_SOCKET, SO_REUSEPORT), 1);
	SAME(port_of(group[0]), port_of(group[1]));
	NEED(send(shut[0], "x", 1, 0) == 1 && recv(shut[0], text, 1, 0) == 0);
	NEED(send(shut[1], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	NEED(send(shut[2], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	SAME(recv(shut[2], text, 1, 0), 0);
	NEED(setsockopt(member, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)) == -1);
	SAME(errno, EADDRINUSE);
	ok();
}
