/*
 * TCP connections made when the system agreed on less than it would now: all mixtures of none of
 * selective acknowledgements, timestamps and window scaling, one with small segments. All of them
 * keep their terms, and move a megabyte each way as they would have: not a byte per timeout.
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 * TIMEOUT: 40
 * PROVES: F159 F169
 */
#include "inet.h"

enum {
	N = 8,
	SMALL = 5, /* which has small segments */
	SEGMENT = 777,
	CLAMPED = 4, /* whose client set a limit of its window */
	CLAMP = 8192,
	PIECE = 16000,
	PIECES = 64
};

struct terms {
	unsigned options, snd_wscale, rcv_wscale, segment;
};

static struct pair pairs[N];
static struct terms terms[N][2];

static void set_system(const char *name, bool on)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		skip("settings of the network namespace cannot be written");
	NEED(write(fd, on ? "1" : "0", 1) == 1 && !close(fd));
}

static void agree_without(int mixture)
{
	set_system("tcp_sack", !(mixture & 1));
	set_system("tcp_timestamps", !(mixture & 2));
	set_system("tcp_window_scaling", !(mixture & 4));
}

static struct terms terms_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	NEED(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return (struct terms){
		info.tcpi_options, info.tcpi_snd_wscale, info.tcpi_rcv_wscale, info.tcpi_snd_mss};
}

static void make(int i)
{
	agree_without(i);
	int listener = listen_at(i % N_ADDRESSES, 0, 2);
	if (i == SMALL)
		set_opt(listener, IPPROTO_TCP, TCP_MAXSEG, SEGMENT);
	pairs[i] = connect_pair(listener);
	close(listener);
	put_stream(pairs[i].client, 0, PIECE, i);
	put_stream(pairs[i].server, 0, PIECE, i + N);
	terms[i][0] = terms_of(pairs[i].client);
	terms[i][1] = terms_of(pairs[i].server);
	SAME(terms[i][0].options & TCPI_OPT_SACK, i & 1 ? 0 : TCPI_OPT_SACK);
	SAME(terms[i][0].options & TCPI_OPT_TIMESTAMPS, i & 2 ? 0 : TCPI_OPT_TIMESTAMPS);
	SAME(terms[i][0].options & TCPI_OPT_WSCALE, i & 4 ? 0 : TCPI_OPT_WSCALE);
}

static void need_terms(int fd, const struct terms *old)
{
	struct terms now = terms_of(fd);

	SAME(now.options, old->options);
	SAME(now.snd_wscale, old->snd_wscale);
	SAME(now.rcv_wscale, old->rcv_wscale);
	/* else it is as if there were some, until a segment is sent */
	if (old->options & TCPI_OPT_TIMESTAMPS)
		SAME(now.segment, old->segment);
}

static void talk_on(int i)
{
	for (int k = 1; k < PIECES; k++) {
		put_stream(pairs[i].client, k * PIECE, PIECE, i);
		put_stream(pairs[i].server, k * PIECE, PIECE, i + N);
		need_stream(pairs[i].server, k * PIECE, PIECE, i);
		need_stream(pairs[i].client, k * PIECE, PIECE, i + N);
	}
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (int i = 0; i < N; i++)
		make(i);
	agree_without(0);
	/* last: the kernel gives it up when there is more to receive */
	set_opt(pairs[CLAMPED].client, IPPROTO_TCP, TCP_WINDOW_CLAMP, CLAMP);
	park();
	SAME(get_opt(pairs[CLAMPED].client, IPPROTO_TCP, TCP_WINDOW_CLAMP), CLAMP);
	for (int i = 0; i < N; i++) {
		need_terms(pairs[i].client, &terms[i][0]);
		need_terms(pairs[i].server, &terms[i][1]);
		need_stream(pairs[i].server, 0, PIECE, i);
		need_stream(pairs[i].client, 0, PIECE, i + N);
		talk_on(i);
	}
	ok();
}
