/*
 * One inet socket of the kind that the argument names, which a dump refuses, or not.
 * VARIANTS: scenario
 */
#include <netinet/udp.h>

#include "inet.h"

static struct pair pair;
static int one;

static void make_pair(void)
{
	pair = connect_pair(listen_at(0, 4711, 4));
}

static void pending(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4711, &name);

	one = listen_at(0, 4711, 4);
	pair.client = socket(AF_INET, SOCK_STREAM, 0);
	NEED(!connect(pair.client, (struct sockaddr *)&name, len));
	close(pair.client); /* it waits to be accepted all the same */
}

static void listener(void)
{
	one = listen_at(0, 4711, 4);
}

static void udp(void)
{
	one = bound_socket(0, SOCK_DGRAM, 0, 4711, false);
}

static void queued(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4711, &name);

	udp();
	NEED(sendto(one, "", 0, 0, (struct sockaddr *)&name, len) == 0);
}

static void timed(void)
{
	queued();
	set_opt(one, SOL_SOCKET, SO_TIMESTAMP, 1);
}

/* Its only datagram is empty, and somebody has looked at it. */
static void peeked(void)
{
	char c;

	queued();
	SAME(recv(one, &c, 1, MSG_PEEK), 0);
}

static void raw(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 0, &name);

	one = socket(AF_INET, SOCK_RAW, 253);
	NEED(one >= 0 && sendto(one, "packet", 6, 0, (struct sockaddr *)&name, len) == 6);
}

static void corked(void)
{
	udp();
	set_opt(one, IPPROTO_UDP, UDP_CORK, 1);
}

static void more(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4711, &name);

	udp();
	NEED(sendto(one, "some", 4, MSG_MORE, (struct sockaddr *)&name, len) == 4);
}

static void urgent(void)
{
	struct pollfd p;

	make_pair();
	NEED(send(pair.client, "!", 1, MSG_OOB) == 1);
	p = (struct pollfd){.fd = pair.server, .events = POLLPRI};
	NEED(poll(&p, 1, 5000) == 1);
}

static void mptcp(void)
{
	one = socket(AF_INET, SOCK_STREAM, 262);
	if (one < 0)
		skip("the kernel has no MPTCP");
}

static void failed(void)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 4711, &name);
	struct pollfd p;

	one = socket(AF_INET, SOCK_DGRAM, 0);
	NEED(!connect(one, (struct sockaddr *)&name, len));
	NEED(send(one, "x", 1, 0) == 1);
	p = (struct pollfd){.fd = one};
	NEED(poll(&p, 1, 5000) == 1);
}

static const struct {
	const char *name;
	void (*make)(void);
} kinds[] = {
	{"pair", make_pair},
	{"pending", pending},
	{"listener", listener},
	{"udp", udp},
	{"queued", queued},
	{"timed", timed},
	{"peeked", peeked},
	{"raw", raw},
	{"corked", corked},
	{"more", more},
	{"urgent", urgent},
	{"mptcp", mptcp},
	{"failed", failed},
};

int main(int argc, char **argv)
{
	char c;

	setup(argc, argv);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(argv[2], kinds[i].name))
			kinds[i].make();
	park();
	if (!strcmp(argv[2], "timed") || !strcmp(argv[2], "peeked") || !strcmp(argv[2], "raw"))
		need_empty(one); /* with --skip-in-flight */
	if (!strcmp(argv[2], "pair") && argc > 3 && !strcmp(argv[3], "closed")) {
		SAME(read(pair.server, &c, 1), 0);
		NEED(send(pair.client, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	} else if (pair.server) {
		put_stream(pair.server, 0, 100, 1);
		need_stream(pair.client, 0, 100, 1);
	}
	ok();
}
