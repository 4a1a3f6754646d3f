/*
 * Established TCP connections with both ends in the tree: IPv4, IPv6 and v4-mapped, in one task and
 * between two, with bytes in both queues, idle ones, one with a listener and one without. All go
 * on, byte for byte, with names, options and sequence numbers that the other end accepts.
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 * PROVES: F159 F158 F169 F165
 */
#include "check.h"
#include "inet.h"

enum { IDLE, BOTH, ONE_WAY, SPLIT, N_KINDS };

static struct pair pairs[N_ADDRESSES][N_KINDS];

static void child(void *unused)
{
	(void)unused;
	child_park();
	for (int a = 0; a < N_ADDRESSES; a++) {
		need_stream(pairs[a][SPLIT].server, 0, 5000, a);
		put_stream(pairs[a][SPLIT].server, 0, 70000, a + 100);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_storage names[N_ADDRESSES][N_KINDS][2], now[2];
	int listeners[N_ADDRESSES];

	setup(argc, argv);
	for (int a = 0; a < N_ADDRESSES; a++) {
		listeners[a] = listen_at(a, 0, 3);
		for (int k = 0; k < N_KINDS; k++) {
			pairs[a][k] = connect_pair(listeners[a]);
			names_of(pairs[a][k].client, names[a][k]);
		}
		put_stream(pairs[a][BOTH].client, 0, 10000, a);
		put_stream(pairs[a][BOTH].server, 0, 20000, a + 50);
		put_stream(pairs[a][ONE_WAY].client, 0, 1, a);
		put_stream(pairs[a][SPLIT].client, 0, 5000, a);
	}
	close(listeners[2]);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	for (int a = 0; a < N_ADDRESSES; a++) {
		for (int k = 0; k < N_KINDS; k++) {
			names_of(pairs[a][k].client, now);
			NEED(!memcmp(now, names[a][k], sizeof(now)));
			SAME(tcp_state(pairs[a][k].client), TCP_ESTABLISHED);
		}
		need_stream(pairs[a][BOTH].server, 0, 10000, a);
		need_stream(pairs[a][BOTH].client, 0, 20000, a + 50);
		need_stream(pairs[a][ONE_WAY].server, 0, 1, a);
		for (int k = IDLE; k <= ONE_WAY; k++) {
			put_stream(pairs[a][k].client, 30000, 3000, a);
			need_stream(pairs[a][k].server, 30000, 3000, a);
			put_stream(pairs[a][k].server, 30000, 3000, a + 50);
			need_stream(pairs[a][k].client, 30000, 3000, a + 50);
			NEED(!shutdown(pairs[a][k].client, SHUT_WR));
			need_end(pairs[a][k].server);
			NEED(!shutdown(pairs[a][k].server, SHUT_WR));
			need_end(pairs[a][k].client);
		}
		need_stream(pairs[a][SPLIT].client, 0, 70000, a + 100);
	}
	need_exit(pid, 0);
	for (int a = 0; a < 2; a++) {
		struct pair p = connect_pair(listeners[a]);
		put_stream(p.client, 0, 100, 1);
		need_stream(p.server, 0, 100, 1);
		SAME(backlog_of(listeners[a]), 3);
	}
	ok();
}
