/*
 * Pairs of unix sockets of each type, shared with a child: data both ways, boundaries, an empty
 * packet, flags, options, each kind of shutdown, a peer that is closed with and without data left
 * on either side, and what SO_PEERCRED tells.
 * PROVES: F139 F140 F142 F153
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "check.h"

static int stream[2], dgram[2], packet[2], plain[2], rd[2], wr[2], both[2], dead[3], with_child[2];
static struct ucred before;

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	NEED(getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0);
	return value;
}

static void need_read(int fd, const char *text)
{
	char buf[256];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n != (ssize_t)strlen(text) || memcmp(buf, text, (size_t)n))
		bad("fd %d: %zd bytes \"%.*s\", not \"%s\"", fd, n, n > 0 ? (int)n : 0, buf, text);
}

static void need_empty(int fd)
{
	char c;

	NEED(recv(fd, &c, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
}

static void child(void *unused)
{
	(void)unused;
	close(with_child[0]);
	child_park();
	need_read(with_child[1], "to the child");
	NEED(write(with_child[1], "from the child", 14) == 14);
}

static void build_dead(void)
{
	int pair[2];

	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair)); /* data left for us */
	NEED(write(pair[1], "last words", 10) == 10 && !close(pair[1]));
	dead[0] = pair[0];
	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair)); /* and unread by it: reset */
	NEED(write(pair[1], "more", 4) == 4 && write(pair[0], "unread", 6) == 6 && !close(pair[1]));
	dead[1] = pair[0];
	NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	NEED(write(pair[1], "one", 3) == 3 && write(pair[1], "two", 3) == 3 && !close(pair[1]));
	dead[2] = pair[0];
}

static void check_dead(void)
{
	char c;
	struct pollfd p = {dead[1], POLLIN, 0};

	need_read(dead[0], "last words");
	NEED(recv(dead[0], &c, 1, MSG_DONTWAIT) == 0);
	NEED(send(dead[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	NEED(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLHUP | POLLERR));
	need_read(dead[1], "more");
	NEED(recv(dead[1], &c, 1, MSG_DONTWAIT) == -1 && errno == ECONNRESET);
	need_read(dead[2], "one");
	need_read(dead[2], "two");
	need_empty(dead[2]);
	NEED(send(dead[2], "x", 1, MSG_NOSIGNAL) == -1 && errno == ECONNREFUSED);
	NEED(send(dead[2], "x", 1, MSG_NOSIGNAL) == -1 && errno == ENOTCONN);
}

static void check_shutdown(void)
{
	char c;

	NEED(recv(rd[0], &c, 1, MSG_DONTWAIT) == 0);
	NEED(send(rd[1], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	NEED(write(rd[0], "yes", 3) == 3);
	need_read(rd[1], "yes");
	need_read(wr[1], "before");
	NEED(recv(wr[1], &c, 1, MSG_DONTWAIT) == 0);
	NEED(send(wr[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	NEED(write(wr[1], "yes", 3) == 3);
	need_read(wr[0], "yes");
	NEED(recv(both[0], &c, 1, MSG_DONTWAIT) == 0 && recv(both[1], &c, 1, MSG_DONTWAIT) == 0);
	NEED(send(both[1], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
}

static void check_peer(int fd)
{
	struct ucred now;
	socklen_t len = sizeof(now);

	NEED(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &now, &len) == 0);
	SAME(now.pid, before.pid);
	SAME(now.uid, before.uid);
	SAME(now.gid, before.gid);
}

static void build(void)
{
	int on = 1, size = 50000, off = 2;
	struct timeval t = {7, 500000};
	socklen_t len = sizeof(before);

	NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, stream));
	NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, dgram));
	NEED(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packet));
	NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plain));
	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, rd) && !socketpair(AF_UNIX, SOCK_STREAM, 0, wr));
	NEED(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, both));
	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, with_child));
	NEED(getsockopt(stream[0], SOL_SOCKET, SO_PEERCRED, &before, &len) == 0);
	NEED(write(stream[0], "first", 5) == 5 && write(stream[0], "second", 6) == 6);
	NEED(write(stream[1], "back", 4) == 4);
	for (int i = 0; i < 20; i++) { /* more than the queue of a stranger would take */
		char text[8];
		snprintf(text, sizeof(text), "n%d", i);
		NEED(write(dgram[0], text, strlen(text)) == (ssize_t)strlen(text));
	}
	NEED(send(dgram[1], "", 0, 0) == 0 && write(dgram[1], "x", 1) == 1);
	NEED(send(dgram[1], "", 0, 0) == 0 && send(dgram[1], "", 0, 0) == 0);
	NEED(write(dgram[1], "end", 3) == 3 && send(dgram[1], "", 0, 0) == 0);
	NEED(write(packet[0], "aa", 2) == 2 && send(packet[0], "", 0, 0) == 0);
	NEED(write(packet[0], "bbb", 3) == 3);
	NEED(!setsockopt(plain[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	NEED(!setsockopt(plain[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	NEED(!setsockopt(plain[0], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)));
	NEED(!setsockopt(plain[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	NEED(!shutdown(rd[0], SHUT_RD));
	NEED(write(wr[0], "before", 6) == 6 && !shutdown(wr[0], SHUT_WR));
	NEED(!shutdown(both[0], SHUT_RDWR));
	NEED(write(with_child[0], "to the child", 12) == 12);
	build_dead();
}

static void check_packets(void)
{
	char text[8];

	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "n%d", i);
		need_read(dgram[1], text);
	}
	need_empty(dgram[1]);
	static const char *const back[] = {"", "x", "", "", "end", ""};
	for (size_t i = 0; i < 6; i++)
		need_read(dgram[0], back[i]);
	need_empty(dgram[0]);
	need_read(packet[1], "aa");
	need_read(packet[1], "");
	need_read(packet[1], "bbb");
	need_empty(packet[1]);
}

int main(int argc, char **argv)
{
	struct timeval t = {0};
	socklen_t len = sizeof(t);

	setup(argc, argv);
	build();
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	close(with_child[1]);
	park();
	need_exit(pid, 0);
	need_read(with_child[0], "from the child");
	NEED(recv(with_child[0], &t, 1, 0) == 0); /* the child's end is gone: nobody else had it */
	need_read(stream[1], "firstsecond");
	need_empty(stream[1]);
	need_read(stream[0], "back");
	NEED(write(stream[0], "on", 2) == 2);
	need_read(stream[1], "on");
	SAME(fcntl(stream[0], F_GETFL), O_RDWR | O_NONBLOCK);
	SAME(fcntl(plain[0], F_GETFL), O_RDWR);
	SAME(fcntl(plain[0], F_GETFD), FD_CLOEXEC);
	SAME(fcntl(stream[0], F_GETFD), 0);
	check_packets();
	SAME(option(plain[0], SO_SNDBUF), 100000);
	SAME(option(plain[1], SO_SNDBUF), option(stream[0], SO_SNDBUF));
	SAME(option(plain[0], SO_PASSCRED), 1);
	SAME(option(plain[0], SO_PEEK_OFF), 2);
	SAME(option(dgram[1], SO_PEEK_OFF), -1);
	NEED(!getsockopt(plain[1], SOL_SOCKET, SO_RCVTIMEO, &t, &len) && t.tv_sec == 7);
	check_shutdown();
	check_dead();
	check_peer(stream[0]);
	check_peer(stream[1]);
	check_peer(dgram[1]);
	check_peer(packet[0]);
	check_peer(with_child[0]);
	ok();
}
