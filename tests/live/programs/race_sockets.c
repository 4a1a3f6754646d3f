/*
 * Sockets made, bound, connected, accepted, written, shut and closed as fast as it goes: unix
 * streams and datagrams, TCP, UDP, over loopback.  Every byte arrives, no connection breaks.
 * PROVES: F146 F167
 * VARIANTS: scenario
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 * REFUSAL: not accepted yet|nobody accepted
 */
#include "race.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static void send_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		NEED(sent > 0);
		p += sent;
		n -= (size_t)sent;
	}
}

static void need_bytes(int fd, uint64_t seed, size_t n)
{
	uint64_t buf[512];

	NEED(n <= sizeof(buf));
	SAME(recv(fd, buf, n, MSG_WAITALL), n);
	need_filled(buf, n, seed);
}

/* Client and server in one thread: connect() of a listener's queue does not wait. */
static void exchange(int listener, const struct sockaddr *a, socklen_t len, uint64_t i)
{
	uint64_t data[512];
	size_t n = 8 * (1 + i % 512);
	char c;
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;

	NEED(fd >= 0);
	NEED(!connect(fd, a, len));
	peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	NEED(peer >= 0);
	fill(data, n, i);
	send_all(fd, data, n);
	need_bytes(peer, i, n);
	send_all(peer, data, n);
	NEED(!shutdown(peer, SHUT_WR));
	need_bytes(fd, i, n);
	SAME(recv(fd, &c, 1, 0), 0);
	if (i % 2) {
		NEED(!close(fd));
		SAME(recv(peer, &c, 1, 0), 0);
		NEED(!close(peer));
	} else {
		NEED(!close(peer) && !close(fd));
	}
}

static void tcp(int beat)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	NEED(listener >= 0);
	NEED(!bind(listener, (struct sockaddr *)&a, len) && !listen(listener, 8));
	NEED(!getsockname(listener, (struct sockaddr *)&a, &len));
	for (uint64_t i = 1; racing(); i++) {
		exchange(listener, (struct sockaddr *)&a, len, i);
		nap_us(300); /* ports in TIME-WAIT are not without end */
		race_beat(beat);
	}
	close(listener);
}

static void unix_stream(int beat)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", in_dir("socket"));
	for (uint64_t i = 1; racing(); i++) {
		int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		unlink(a.sun_path);
		NEED(listener >= 0 && !bind(listener, (struct sockaddr *)&a, sizeof(a)));
		NEED(!listen(listener, 8));
		for (int k = 0; k < 4; k++)
			exchange(listener, (struct sockaddr *)&a, sizeof(a), i * 4 + (uint64_t)k);
		NEED(!close(listener));
		race_beat(beat);
	}
}

static void datagrams(int beat, int family)
{
	for (uint64_t i = 1; racing(); i++) {
		struct sockaddr_in in = {
			.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		struct sockaddr_un un = {.sun_family = AF_UNIX};
		struct sockaddr *a =
			family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&un;
		socklen_t len =
			family == AF_INET ? sizeof(in) : offsetof(struct sockaddr_un, sun_path) + 8;
		int to = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		int from = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		uint64_t data[64];

		memcpy(un.sun_path, "\0race_dg", 8);
		NEED(to >= 0 && from >= 0);
		NEED(!bind(to, a, len) && !getsockname(to, a, &len));
		NEED(!connect(from, a, len));
		for (uint64_t k = 0; k < 4; k++) {
			fill(data, sizeof(data), i + k);
			SAME(send(from, data, sizeof(data), 0), sizeof(data));
		}
		for (uint64_t k = 0; k < 4; k++)
			need_bytes(to, i + k, sizeof(data));
		NEED(!close(from) && !close(to));
		race_beat(beat);
	}
}

static void pairs(int beat)
{
	for (uint64_t i = 1; racing(); i++) {
		uint64_t data[256];
		int fd[2];

		NEED(!socketpair(AF_UNIX, i % 2 ? SOCK_STREAM : SOCK_SEQPACKET, 0, fd));
		fill(data, sizeof(data), i);
		send_all(fd[0], data, sizeof(data));
		need_bytes(fd[1], i, sizeof(data));
		NEED(!close(fd[0]));
		SAME(recv(fd[1], data, 1, 0), 0);
		NEED(!close(fd[1]));
		race_beat(beat);
	}
}

int main(int argc, char **argv)
{
	pid_t pid[5];

	race_setup(argc, argv);
	for (int i = 0; i < 5; i++) {
		int beat = race_join();

		pid[i] = fork();
		NEED(pid[i] >= 0);
		if (pid[i])
			continue;
		if (i == 0)
			tcp(beat);
		else if (i == 1)
			unix_stream(beat);
		else if (i < 4)
			datagrams(beat, i == 2 ? AF_INET : AF_UNIX);
		else
			pairs(beat);
		_exit(0);
	}
	race_ready();
	while (racing())
		nap_ms(2);
	for (int i = 0; i < 5; i++)
		need_exit(pid[i], 0);
	ok();
}
