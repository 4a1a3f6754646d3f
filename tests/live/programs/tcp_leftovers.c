/*
 * A listener without SO_REUSEADDR whose former connections are in TIME-WAIT, which keeps everybody
 * else from its port: it listens there again, and takes connections.
 * PROVES: F167
 * VARIANTS: plain cycles
 */
#include "check.h"
#include <netinet/in.h>
#include <sys/socket.h>

static struct sockaddr_in a = {.sin_family = AF_INET};
static int listener;

/* The server closes first: it is its end that lingers. */
static void visit(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
	char c;

	NEED(fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof(a)));
	peer = accept(listener, NULL, NULL);
	NEED(peer >= 0);
	SAME(send(peer, "x", 1, 0), 1);
	NEED(!close(peer));
	SAME(recv(fd, &c, 1, 0), 1);
	SAME(recv(fd, &c, 1, 0), 0);
	NEED(!close(fd));
}

int main(int argc, char **argv)
{
	socklen_t len = sizeof(a);
	int other;

	setup(argc, argv);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	NEED(listener >= 0 && !bind(listener, (struct sockaddr *)&a, len) && !listen(listener, 4));
	NEED(!getsockname(listener, (struct sockaddr *)&a, &len));
	for (int i = 0; i < 3; i++)
		visit();
	park();
	visit();
	other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SAME(bind(other, (struct sockaddr *)&a, len), -1);
	SAME(errno, EADDRINUSE);
	ok();
}
