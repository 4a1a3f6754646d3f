/*
 * TCP connections to a peer outside the tree: one with a full send queue, one that is idle, one
 * that this end has shut down. The test connects the peer and judges the other direction.
 * Arguments: the port of the peer, bytes it sends on each connection.
 * VARIANTS: scenario
 */
#include "inet.h"

static int connect_to(int port)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, port, &name);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	NEED(fd >= 0 && !connect(fd, (struct sockaddr *)&name, len));
	return fd;
}

int main(int argc, char **argv)
{
	int fds[3];
	char text[32];

	setup(argc, argv);
	for (int i = 0; i < 3; i++)
		fds[i] = connect_to(atoi(argv[2]));
	size_t sent = put_until_full(fds[0], 0);
	put_stream(fds[2], 0, 1000, 2);
	NEED(!shutdown(fds[2], SHUT_WR));
	snprintf(text, sizeof(text), "%zu", sent);
	say("sent", text);
	park();
	for (int i = 0; i < 3; i++) {
		need_stream(fds[i], 0, atoi(argv[3]), i + 10);
		if (i < 2) {
			put_stream(fds[i], i ? 0 : sent, 5000, i);
			NEED(!shutdown(fds[i], SHUT_WR));
		}
	}
	for (int i = 0; i < 3; i++)
		need_end(fds[i]);
	ok();
}
