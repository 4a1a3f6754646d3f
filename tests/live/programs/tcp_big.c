/*
 * TCP queues of megabytes: a full send queue with a part that was sent and one that was not, a
 * receive queue as large as its buffer, both ways at once, IPv4 and IPv6. Sizes of the buffers
 * do not change by any number of restores, autotuned or fixed.
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 * TIMEOUT: 40
 * PROVES: F161 F162 F173
 */
#include "inet.h"

enum { LARGE = 3 << 20, N = 2 };

struct side {
	struct pair p;
	size_t to_server, to_client;
	int sizes[4];
};

static struct side sides[N];

static void sizes_of(const struct side *s, int sizes[4])
{
	sizes[0] = get_opt(s->p.client, SOL_SOCKET, SO_SNDBUF);
	sizes[1] = get_opt(s->p.client, SOL_SOCKET, SO_RCVBUF);
	sizes[2] = get_opt(s->p.server, SOL_SOCKET, SO_SNDBUF);
	sizes[3] = get_opt(s->p.server, SOL_SOCKET, SO_RCVBUF);
}

static int queued(int fd, unsigned long which)
{
	int n = 0;

	NEED(!ioctl(fd, which, &n));
	return n;
}

static void make(int a, struct side *s)
{
	int listener = listen_at(a, 0, 2);

	set_opt(listener, SOL_SOCKET, SO_RCVBUFFORCE, LARGE);
	s->p = connect_pair(listener);
	set_opt(s->p.client, SOL_SOCKET, SO_SNDBUFFORCE, LARGE);
	close(listener);
	s->to_server = put_until_full(s->p.client, a);
	s->to_client = put_until_full(s->p.server, a + 1);
	NEED(s->to_server > LARGE && queued(s->p.client, TIOCOUTQ) > 1 << 20);
	NEED(queued(s->p.server, FIONREAD) > 1 << 20);
	sizes_of(s, s->sizes);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (int a = 0; a < N; a++)
		make(a, &sides[a]);
	park();
	for (int a = 0; a < N; a++) {
		struct side *s = &sides[a];
		int sizes[4];

		sizes_of(s, sizes);
		/* fixed: sender and receiver of the first stream; the kernel fits the others to
		   what is queued */
		SAME(sizes[0], s->sizes[0]);
		SAME(sizes[3], s->sizes[3]);
		NEED(sizes[1] < s->sizes[1] + s->sizes[1] / 8);
		NEED(sizes[2] < s->sizes[2] + s->sizes[2] / 8);
		need_stream(s->p.server, 0, s->to_server, a);
		need_stream(s->p.client, 0, s->to_client, a + 1);
		need_empty(s->p.server);
		put_stream(s->p.client, s->to_server, 10000, a);
		need_stream(s->p.server, s->to_server, 10000, a);
	}
	ok();
}
