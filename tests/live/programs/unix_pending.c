/*
 * Connections that wait to be accepted, on which the clients have sent by now: a request, several,
 * one and the end, packets with an empty one among them, nothing.  A child holds the clients; it is
 * told as the sender.  Some clients are closed again, of the child and of a process that has ended:
 * their connections are still there, in their places, with all that they sent, and who they were.
 * PROVES: F147
 */
#include <grp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

enum { N = 5, LONG = 50000 };

static int stream, packets, clients[N];
static char request[LONG];

static int named(int type, const char *name, bool listens)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
	int fd = socket(AF_UNIX, type, 0);

	memcpy(a.sun_path + 1, name, strlen(name));
	NEED(fd >= 0);
	if (listens)
		NEED(!bind(fd, (struct sockaddr *)&a, len) && !listen(fd, 16));
	else
		NEED(!connect(fd, (struct sockaddr *)&a, len));
	return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
	SAME(send(fd, data, len, 0), len);
}

static void come_and_go(int type, const char *first, const char *second)
{
	int fd = named(type, type == SOCK_STREAM ? "pending" : "pending packets", false);

	if (first)
		send_all(fd, first, strlen(first));
	if (second)
		send_all(fd, second, strlen(second));
	close(fd);
}

static void be_gone(void *unused UNUSED)
{
	NEED(!setgroups(2, (gid_t[]){33, 44}) && !setresgid(55, 66, 55));
	come_and_go(SOCK_STREAM, "left ", "behind");
	exit(0);
}

static void be_clients(void *unused UNUSED)
{
	come_and_go(SOCK_SEQPACKET, "a packet", "");
	for (int i = 0; i < N; i++) {
		clients[i] = i < 4 ? named(SOCK_STREAM, "pending", false)
				   : named(SOCK_SEQPACKET, "pending packets", false);
		if (i == 1)
			come_and_go(SOCK_STREAM, "closed", NULL);
		if (i == 3)
			come_and_go(SOCK_STREAM, NULL, NULL);
	}
	send_all(clients[0], request, LONG);
	send_all(clients[1], "one,", 4);
	send_all(clients[1], "two", 3);
	send_all(clients[2], "last", 4);
	NEED(!shutdown(clients[2], SHUT_WR));
	send_all(clients[4], "first", 5);
	send_all(clients[4], "", 0);
	send_all(clients[4], "third", 5);
	child_park();
	char answer[8];
	for (int i = 0; i < N; i++) {
		SAME(recv(clients[i], answer, sizeof(answer), 0), 6);
		NEED(!memcmp(answer, "answer", 6));
	}
}

static int accept_one(int listener, pid_t from)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	NEED(fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len));
	SAME(peer.pid, from);
	int on = 1;
	NEED(!setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	return fd;
}

/* The next message, and who sent it. */
static void need(int fd, const char *text, size_t len, pid_t from)
{
	static char buf[2 * LONG];
	char control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct ucred creds;

	SAME(recvmsg(fd, &msg, 0), len);
	NEED(!memcmp(buf, text, len));
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	NEED(c && c->cmsg_type == SCM_CREDENTIALS);
	memcpy(&creds, CMSG_DATA(c), sizeof(creds));
	SAME(creds.pid, from);
	SAME(creds.uid, getuid());
}

static void need_end(int fd, bool end)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	NEED(end ? n == 0 : n < 0 && errno == EAGAIN);
}

/* The next connection has that, and then the end. */
static void need_closed(int listener, pid_t from, const char *first, const char *second)
{
	int fd = accept_one(listener, from);

	if (first)
		need(fd, first, strlen(first), from);
	if (second)
		need(fd, second, strlen(second), from);
	need_end(fd, true);
	NEED(send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	close(fd);
}

static void need_gone(pid_t pid)
{
	int fd = accept4(stream, NULL, NULL, SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t len = sizeof(peer);
	gid_t groups[3];
	char text[16];

	NEED(fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len));
	SAME(peer.pid, pid);
	SAME(peer.uid, getuid());
	SAME(peer.gid, 66);
	len = sizeof(groups);
	NEED(!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len));
	NEED(len == 2 * sizeof(*groups) && groups[0] == 33 && groups[1] == 44);
	SAME(recv(fd, text, sizeof(text), 0), 11);
	NEED(!memcmp(text, "left behind", 11));
	need_end(fd, true);
	close(fd);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	fill(request, LONG - LONG % 8, 5);
	stream = named(SOCK_STREAM, "pending", true);
	packets = named(SOCK_SEQPACKET, "pending packets", true);
	pid_t gone = spawn(be_gone, NULL), child;
	need_exit(gone, 0);
	child = spawn(be_clients, NULL);
	await_child(child);
	park();
	int fds[N];
	need_gone(gone);
	need_closed(packets, child, "a packet", "");
	for (int i = 0; i < N; i++) {
		fds[i] = accept_one(i < 4 ? stream : packets, child);
		if (i == 1)
			need_closed(stream, child, "closed", NULL);
		if (i == 3)
			need_closed(stream, child, NULL, NULL);
	}
	need(fds[0], request, LONG, child);
	need(fds[1], "one,two", 7, child);
	need(fds[2], "last", 4, child);
	need(fds[4], "first", 5, child);
	need(fds[4], "", 0, child);
	need(fds[4], "third", 5, child);
	for (int i = 0; i < N; i++) {
		need_end(fds[i], i == 2);
		send_all(fds[i], "answer", 6);
	}
	need_exit(child, 0);
	ok();
}
