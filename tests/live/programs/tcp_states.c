/*
 * TCP connections on their way down and up: FIN-WAIT-1 and -2, CLOSE-WAIT, LAST-ACK, CLOSING, CLOSE
 * with bytes left to read, SYN-SENT; over IPv4, IPv6 and v4-mapped. All bytes and ends arrive.
 *
 * States that last only while a segment is under way are held by a filter on the other end that
 * drops whatever comes; it is gone after the restore's verdict begins.
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 * TIMEOUT: 40
 * PROVES: F164 F159 F174
 */
#include <linux/filter.h>

#include "inet.h"

struct ends {
	struct pair fin_wait1, fin_wait2, last_ack, closing, close;
	int listener, deaf_listener, syn_sent;
	size_t in_fin_wait1, in_last_ack;
};

static struct ends all[N_ADDRESSES];

static void deafen(int fd)
{
	struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
	struct sock_fprog prog = {.len = 1, .filter = &drop};

	NEED(!setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
}

static void hear(int fd)
{
	set_opt(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

static void need_deaf(int fd)
{
	struct sock_filter code[2];
	socklen_t n = 2;

	NEED(!getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, code, &n));
	NEED(n == 1 && code[0].code == (BPF_RET | BPF_K) && code[0].k == 0);
}

static void make(int a, struct ends *e)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);

	e->listener = listen_at(a, 0, 8);
	e->fin_wait1 = connect_pair(e->listener);
	set_opt(e->fin_wait1.client, SOL_SOCKET, SO_SNDBUF, 200000);
	e->in_fin_wait1 = put_until_full(e->fin_wait1.client, a);
	NEED(!shutdown(e->fin_wait1.client, SHUT_WR));

	e->fin_wait2 = connect_pair(e->listener);
	put_stream(e->fin_wait2.client, 0, 1000, a);
	NEED(!shutdown(e->fin_wait2.client, SHUT_WR));

	e->last_ack = connect_pair(e->listener);
	set_opt(e->last_ack.client, SOL_SOCKET, SO_SNDBUF, 200000);
	put_stream(e->last_ack.server, 0, 3000, a + 1);
	NEED(!shutdown(e->last_ack.server, SHUT_WR));
	e->in_last_ack = put_until_full(e->last_ack.client, a);
	await_state(e->last_ack.client, TCP_CLOSE_WAIT);
	NEED(!shutdown(e->last_ack.client, SHUT_WR));

	e->closing = connect_pair(e->listener);
	put_stream(e->closing.server, 0, 500, a);
	nap_ms(5); /* acknowledged, so that nothing of it has to come again */
	deafen(e->closing.server);
	NEED(!shutdown(e->closing.client, SHUT_WR));
	NEED(!shutdown(e->closing.server, SHUT_WR));

	e->close = connect_pair(e->listener);
	put_stream(e->close.server, 0, 40000, a);
	NEED(!shutdown(e->close.server, SHUT_WR));
	await_state(e->close.client, TCP_CLOSE_WAIT);
	NEED(!shutdown(e->close.client, SHUT_WR));

	e->deaf_listener = listen_at(a, 0, 8);
	deafen(e->deaf_listener);
	NEED(!getsockname(e->deaf_listener, (struct sockaddr *)&name, &len));
	e->syn_sent = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	NEED(connect(e->syn_sent, (struct sockaddr *)&name, len) == -1 && errno == EINPROGRESS);
}

static void await_states(const struct ends *e)
{
	await_state(e->fin_wait1.client, TCP_FIN_WAIT1);
	await_state(e->fin_wait2.client, TCP_FIN_WAIT2);
	await_state(e->fin_wait2.server, TCP_CLOSE_WAIT);
	await_state(e->last_ack.client, TCP_LAST_ACK);
	await_state(e->closing.client, TCP_CLOSING);
	await_state(e->closing.server, TCP_FIN_WAIT1);
	await_state(e->close.client, TCP_CLOSE);
	await_state(e->syn_sent, TCP_SYN_SENT);
}

static void judge(int a, struct ends *e)
{
	struct pollfd p = {.fd = e->syn_sent, .events = POLLOUT};

	hear(e->deaf_listener);
	hear(e->closing.server);
	need_stream(e->fin_wait1.server, 0, e->in_fin_wait1, a);
	need_end(e->fin_wait1.server);
	put_stream(e->fin_wait1.server, 0, 10, a);
	need_stream(e->fin_wait1.client, 0, 10, a);

	need_stream(e->fin_wait2.server, 0, 1000, a);
	need_end(e->fin_wait2.server);
	put_stream(e->fin_wait2.server, 0, 100000, a);
	NEED(!shutdown(e->fin_wait2.server, SHUT_WR));
	need_stream(e->fin_wait2.client, 0, 100000, a);
	need_end(e->fin_wait2.client);

	need_stream(e->last_ack.client, 0, 3000, a + 1);
	need_end(e->last_ack.client);
	need_stream(e->last_ack.server, 0, e->in_last_ack, a);
	need_end(e->last_ack.server);

	need_stream(e->closing.client, 0, 500, a);
	need_end(e->closing.client);
	need_end(e->closing.server);

	need_stream(e->close.client, 0, 40000, a);
	need_end(e->close.client);
	need_end(e->close.server);

	NEED(poll(&p, 1, 60000) == 1);
	SAME(get_opt(e->syn_sent, SOL_SOCKET, SO_ERROR), 0);
	int server = accept(e->deaf_listener, NULL, NULL);
	NEED(server >= 0);
	put_stream(server, 0, 100, a);
	need_stream(e->syn_sent, 0, 100, a);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (int a = 0; a < N_ADDRESSES; a++)
		make(a, &all[a]);
	for (int a = 0; a < N_ADDRESSES; a++)
		await_states(&all[a]);
	park();
	for (int a = 0; a < N_ADDRESSES; a++) {
		need_deaf(all[a].closing.server);
		need_deaf(all[a].deaf_listener);
		SAME(tcp_state(all[a].fin_wait1.client), TCP_FIN_WAIT1);
		SAME(tcp_state(all[a].fin_wait2.client), TCP_FIN_WAIT2);
		SAME(tcp_state(all[a].fin_wait2.server), TCP_CLOSE_WAIT);
		SAME(tcp_state(all[a].close.client), TCP_CLOSE);
		judge(a, &all[a]);
	}
	ok();
}
