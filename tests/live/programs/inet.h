/* What test programs of inet sockets share. */
#ifndef INET_H
#define INET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "check.h"

enum { N_ADDRESSES = 3 };

static const char *const addresses[N_ADDRESSES] UNUSED = {"127.0.0.1", "::1", "::ffff:127.0.0.1"};

struct pair {
	int client, server;
};

/* One of the addresses above, with this port. */
static UNUSED socklen_t name_at(int which, int port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = which ? AF_INET6 : AF_INET;
	four->sin_port = htons(port); /* at the same place in both */
	NEED(inet_pton(ret->ss_family, addresses[which],
		     which ? (void *)&six->sin6_addr : &four->sin_addr) == 1);
	return which ? sizeof(*six) : sizeof(*four);
}

static UNUSED int port_of(int fd)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);

	NEED(!getsockname(fd, (struct sockaddr *)&name, &len));
	return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

static UNUSED int get_opt(int fd, int level, int option)
{
	int v = -1;
	socklen_t len = sizeof(v);

	NEED(!getsockopt(fd, level, option, &v, &len));
	return v;
}

static UNUSED void set_opt(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		bad("set option %d of level %d to %d", option, level, value);
}

static UNUSED int bound_socket(int which, int type, int protocol, int port, bool reuse)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(which, port, &name);
	int fd = socket(name.ss_family, type, protocol);

	NEED(fd >= 0);
	if (reuse)
		set_opt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	NEED(!bind(fd, (struct sockaddr *)&name, len));
	return fd;
}

static UNUSED int listen_at(int which, int port, int backlog)
{
	int fd = bound_socket(which, SOCK_STREAM, 0, port, true);

	NEED(!listen(fd, backlog));
	return fd;
}

static UNUSED struct pair connect_pair(int listener)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	struct pair p;

	NEED(!getsockname(listener, (struct sockaddr *)&name, &len));
	p.client = socket(name.ss_family, SOCK_STREAM, 0);
	NEED(p.client >= 0 && !connect(p.client, (struct sockaddr *)&name, len));
	p.server = accept(listener, NULL, NULL);
	NEED(p.server >= 0);
	return p;
}

/* Both names, own first, all bytes defined. */
static UNUSED void names_of(int fd, struct sockaddr_storage names[2])
{
	socklen_t len = sizeof(names[0]);

	memset(names, 0, 2 * sizeof(names[0]));
	NEED(!getsockname(fd, (struct sockaddr *)&names[0], &len));
	len = sizeof(names[1]);
	NEED(!getpeername(fd, (struct sockaddr *)&names[1], &len));
}

static UNUSED int tcp_state(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	NEED(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_state;
}

static UNUSED void await_state(int fd, int state)
{
	for (int i = 0; i < 5000 && tcp_state(fd) != state; i++)
		nap_ms(1);
	SAME(tcp_state(fd), state);
}

static UNUSED int backlog_of(int listener)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	NEED(!getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &len));
	SAME(info.tcpi_state, TCP_LISTEN);
	return info.tcpi_sacked;
}

/* Bytes of a stream from `at`, unlike those of another salt. */
static UNUSED void stream_bytes(unsigned char *data, size_t at, size_t len, int salt)
{
	for (size_t i = at; i < at + len; i++)
		data[i - at] = i * 31 + (i >> 8) * 17 + (i >> 16) * 3 + salt * 7;
}

static UNUSED void put_stream(int fd, size_t at, size_t len, int salt)
{
	static unsigned char data[1 << 16];

	for (size_t n; len; at += n, len -= n) {
		n = len < sizeof(data) ? len : sizeof(data);
		stream_bytes(data, at, n, salt);
		NEED(write(fd, data, n) == (ssize_t)n);
	}
}

/* As much as goes in without waiting long. */
static UNUSED size_t put_until_full(int fd, int salt)
{
	static unsigned char data[1 << 16];

	for (size_t at = 0;;) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};

		stream_bytes(data, at, sizeof(data), salt);
		ssize_t n = send(fd, data, sizeof(data), MSG_DONTWAIT);
		if (n < 0 && poll(&p, 1, 150) == 0)
			return at;
		NEED(n >= 0 || errno == EAGAIN);
		at += n > 0 ? n : 0;
	}
}

static UNUSED void need_stream(int fd, size_t at, size_t len, int salt)
{
	static unsigned char data[1 << 16], want[1 << 16];

	for (ssize_t n; len; at += n, len -= n) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		NEED(poll(&p, 1, 19000) == 1);
		n = read(fd, data, len < sizeof(data) ? len : sizeof(data));
		NEED(n > 0);
		stream_bytes(want, at, n, salt);
		NEED(!memcmp(data, want, n));
	}
}

static UNUSED void need_end(int fd)
{
	char c;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	NEED(poll(&p, 1, 19000) == 1);
	SAME(read(fd, &c, 1), 0);
}

static UNUSED void need_empty(int fd)
{
	char c;

	NEED(recv(fd, &c, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
}

#endif
