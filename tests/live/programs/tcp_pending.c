/*
 * TCP connections that wait to be accepted, their clients in a child: with a request sent, with
 * nothing, with the end of file, with more than the other end takes, by IPv6, by IPv4 to a listener
 * of both.  They are accepted in order, from the same ports, with all that was sent.
 * Not in the variant `fidelity`: the numbers of these connections are others.
 * PROVES: F158 F164
 * VARIANTS: plain cycles leave_running child
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 */
#include "inet.h"

enum { N = 6, N_FOUR = 4, FLOOD = 3, REQUEST = 30000, FLOOD_MAX = 64 << 20 };

/* Shared with the child. */
static struct shared {
	int ports[N];
	size_t flood;
	char request[REQUEST], flooded[FLOOD_MAX];
} * shared;
static int four, both, clients[N];
static struct sockaddr_in6 to_both = {.sin6_family = AF_INET6};
static struct sockaddr_in to_four = {.sin_family = AF_INET};

static int peer_port(int fd)
{
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);

	NEED(!getpeername(fd, (struct sockaddr *)&a, &len));
	return ntohs(a.sin6_port);
}

static int new_client(int family, const void *to, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM, 0);

	NEED(fd >= 0 && !connect(fd, to, len));
	return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
	SAME(send(fd, data, len, 0), len);
}

static void flood(int fd)
{
	ssize_t n;

	while ((n = send(fd, shared->flooded + shared->flood, FLOOD_MAX - shared->flood,
			MSG_DONTWAIT)) > 0)
		shared->flood += (size_t)n;
	NEED(errno == EAGAIN && shared->flood > REQUEST);
}

static void be_clients(void *unused UNUSED)
{
	struct sockaddr_in mapped = {.sin_family = AF_INET, .sin_port = to_both.sin6_port};

	mapped.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < N_FOUR; i++)
		clients[i] = new_client(AF_INET, &to_four, sizeof(to_four));
	clients[4] = new_client(AF_INET6, &to_both, sizeof(to_both));
	clients[5] = new_client(AF_INET, &mapped, sizeof(mapped));
	for (int i = 0; i < N; i++)
		shared->ports[i] = port_of(clients[i]);
	send_all(clients[0], shared->request, REQUEST);
	send_all(clients[2], "last", 4);
	NEED(!shutdown(clients[2], SHUT_WR));
	flood(clients[FLOOD]);
	send_all(clients[4], "six", 3);
	send_all(clients[5], "mapped", 6);
	child_park();
	for (int i = 0; i < N; i++) {
		char answer[8];
		SAME(recv(clients[i], answer, 6, MSG_WAITALL), 6);
		NEED(!memcmp(answer, "answer", 6));
		SAME(port_of(clients[i]), shared->ports[i]);
	}
}

static void need(int fd, const char *text, size_t len)
{
	char *got = malloc(len + 1);

	NEED(got);
	for (size_t have = 0; have < len;) {
		ssize_t n = recv(fd, got + have, len - have, 0);
		NEED(n > 0);
		have += (size_t)n;
	}
	NEED(!memcmp(got, text, len));
	free(got);
}

static void need_eof(int fd, bool end)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

	NEED(end ? n == 0 : n < 0 && errno == EAGAIN);
}

int main(int argc, char **argv)
{
	static const char *const sent[N] = {NULL, "", "last", NULL, "six", "mapped"};

	setup(argc, argv);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(shared != MAP_FAILED);
	fill(shared->request, REQUEST - REQUEST % 8, 1);
	fill(shared->flooded, FLOOD_MAX, 2);
	to_four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	four = socket(AF_INET, SOCK_STREAM, 0);
	both = socket(AF_INET6, SOCK_STREAM, 0);
	NEED(!bind(four, (struct sockaddr *)&to_four, sizeof(to_four)) && !listen(four, N));
	NEED(!bind(both, (struct sockaddr *)&to_both, sizeof(to_both)) && !listen(both, N));
	to_four.sin_port = htons(port_of(four));
	to_both.sin6_port = htons(port_of(both));
	to_both.sin6_addr = in6addr_loopback;
	pid_t child = spawn(be_clients, NULL);
	await_child(child);
	park();
	for (int i = 0; i < N; i++) {
		int fd = accept(i < N_FOUR ? four : both, NULL, NULL);
		NEED(fd >= 0);
		SAME(peer_port(fd), shared->ports[i]);
		if (sent[i])
			need(fd, sent[i], strlen(sent[i]));
		else if (i == FLOOD)
			need(fd, shared->flooded, shared->flood);
		else
			need(fd, shared->request, REQUEST);
		need_eof(fd, i == 2);
		send_all(fd, "answer", 6);
	}
	need_exit(child, 0);
	ok();
}
