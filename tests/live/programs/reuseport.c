/*
 * Groups of sockets that share a port, whose classic BPF program chooses a member by its place: of
 * UDP by the first byte of the datagram, of listeners always the same one. Places are not in the
 * order of descriptors, nor of bind(2): one member was closed, which gave its place to the last,
 * and one has left by connect(2). One socket has a program and no port yet, another one may not
 * change its own any more.
 * PROVES: F172 F170
 */
#include <linux/filter.h>
#include <sys/prctl.h>

#include "inet.h"

enum { N = 5, LISTENERS = 3, CHOSEN = 1 };

static int udp[N], listeners[LISTENERS], port, tcp_port, early, left, locked;

static void choose(int fd, struct sock_filter *code, int n)
{
	struct sock_fprog program = {n, code};

	NEED(!setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)));
}

static void choose_by_byte(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_A, 0)};

	choose(fd, code, 2);
}

static void choose_always(int fd, int place)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, place)};

	choose(fd, code, 1);
}

static void bind_to(int fd, const char *address, int to)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, to, &name);

	((struct sockaddr_in *)&name)->sin_addr.s_addr = inet_addr(address);
	NEED(!bind(fd, (struct sockaddr *)&name, len));
}

static int member(int type)
{
	int fd = socket(AF_INET, type, 0);

	NEED(fd >= 0);
	set_opt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return fd;
}

/* udp[i] is at place i. */
static void make_udp(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 9, &name);
	int extra;

	for (int i = N - 1; i >= 0; i--)
		udp[i] = member(SOCK_DGRAM);
	extra = member(SOCK_DGRAM);
	left = member(SOCK_DGRAM);
	bind_to(udp[0], "0.0.0.0", 0);
	port = port_of(udp[0]);
	bind_to(left, "0.0.0.0", port);
	bind_to(extra, "0.0.0.0", port);
	for (int i = 3; i < N; i++)
		bind_to(udp[i], "0.0.0.0", port);
	/* the last takes the place of who leaves */
	bind_to(udp[1], "0.0.0.0", port);
	NEED(!connect(left, (struct sockaddr *)&name, len));
	bind_to(udp[2], "0.0.0.0", port);
	close(extra);
	choose_by_byte(udp[4]);
}

static void make_tcp(void)
{
	for (int i = 0; i < LISTENERS; i++) {
		listeners[i] = member(SOCK_STREAM);
		bind_to(listeners[i], "127.0.0.1", tcp_port);
		tcp_port = port_of(listeners[0]);
	}
	for (int i = LISTENERS - 1; i >= 0; i--)
		NEED(!listen(listeners[i], 8));
	choose_always(listeners[0], LISTENERS - 1 - CHOSEN);
}

static void need_byte(int fd, int byte)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char got = -1;

	NEED(poll(&p, 1, 2000) == 1);
	NEED(recv(fd, &got, 1, 0) == 1);
	SAME(got, byte);
}

static void send_byte(int to, char byte)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, to, &name);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	NEED(sendto(fd, &byte, 1, 0, (struct sockaddr *)&name, len) == 1);
	close(fd);
}

static void need_choice(void)
{
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < N; i++) {
			send_byte(port, i);
			need_byte(udp[i], i);
		}
}

static void need_listener(void)
{
	for (int i = 0; i < 6; i++) {
		struct sockaddr_storage name;
		socklen_t len = name_at(0, tcp_port, &name);
		struct pollfd p = {.fd = listeners[CHOSEN], .events = POLLIN};
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		NEED(!connect(fd, (struct sockaddr *)&name, len));
		NEED(poll(&p, 1, 2000) == 1);
		close(accept(listeners[CHOSEN], NULL, NULL));
		close(fd);
	}
}

/* What was set before it had a port counts for who comes later. */
static void need_early(void)
{
	int later = member(SOCK_DGRAM);

	bind_to(early, "127.0.0.1", 0);
	bind_to(later, "127.0.0.1", port_of(early));
	for (int i = 0; i < 6; i++) {
		send_byte(port_of(early), i & 1);
		need_byte(i & 1 ? later : early, i & 1);
	}
}

static void need_locked(void)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {1, code};
	int other = member(SOCK_DGRAM);

	NEED(setsockopt(locked, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)));
	bind_to(other, "127.0.0.1", port_of(locked));
	for (int i = 0; i < 6; i++) {
		send_byte(port_of(locked), 7);
		need_byte(other, 7); /* place 1 */
	}
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	make_udp();
	make_tcp();
	early = member(SOCK_DGRAM);
	choose_by_byte(early);
	locked = member(SOCK_DGRAM);
	bind_to(locked, "127.0.0.1", 0);
	choose_always(locked, 1);
	set_opt(locked, SOL_SOCKET, SO_LOCK_FILTER, 1);
	need_choice();
	need_listener();
	park();
	need_choice();
	need_listener();
	need_early();
	need_locked();
	ok();
}
