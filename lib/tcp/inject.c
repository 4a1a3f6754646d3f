/*
 * Segments in the name of the peer.
 *
 * Only a segment can tell the kernel that the peer's FIN came, or that it acknowledged ours.  It
 * goes out of a raw socket with the whole header in our hands and, the destination being local,
 * through loopback straight to the socket under restore.  A v4-mapped address travels as IPv4.
 */
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

struct pseudo_header4 {
	struct in_addr from, to;
	uint8_t zero, protocol;
	uint16_t length;
};

struct pseudo_header6 {
	struct in6_addr from, to;
	uint32_t length;
	uint8_t zero[3], protocol;
};

static uint32_t add_words(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static int send_raw(int family, const void *packet, size_t len, const void *to, socklen_t to_len)
{
	const int mark = FERMATA_TCP_MARK;
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd < 0)
		return -errno;
	ssize_t n = setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	if (n >= 0)
		n = sendto(fd, packet, len, 0, to, to_len);
	int r = n < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int inject4(struct tcphdr *th, struct in_addr from, struct in_addr to)
{
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
	} packet = {.ip = {.version = 4,
			    .ihl = 5,
			    .tot_len = htons(sizeof(packet)),
			    .ttl = 64,
			    .protocol = IPPROTO_TCP,
			    .saddr = from.s_addr,
			    .daddr = to.s_addr}};
	struct pseudo_header4 pseudo = {
		.from = from, .to = to, .protocol = IPPROTO_TCP, .length = htons(sizeof(*th))};
	th->check = fold(add_words(add_words(0, &pseudo, sizeof(pseudo)), th, sizeof(*th)));
	packet.tcp = *th;
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = to};
	return send_raw(AF_INET, &packet, sizeof(packet), &name, sizeof(name));
}

static int inject6(
	struct tcphdr *th, const struct sockaddr_in6 *from, const struct sockaddr_in6 *to)
{
	struct {
		struct ip6_hdr ip;
		struct tcphdr tcp;
	} packet = {.ip = {.ip6_flow = htonl(6u << 28),
			    .ip6_plen = htons(sizeof(packet.tcp)),
			    .ip6_nxt = IPPROTO_TCP,
			    .ip6_hlim = 64,
			    .ip6_src = from->sin6_addr,
			    .ip6_dst = to->sin6_addr}};
	struct pseudo_header6 pseudo = {.from = from->sin6_addr,
		.to = to->sin6_addr,
		.protocol = IPPROTO_TCP,
		.length = htonl(sizeof(*th))};
	th->check = fold(add_words(add_words(0, &pseudo, sizeof(pseudo)), th, sizeof(*th)));
	packet.tcp = *th;
	struct sockaddr_in6 name = {.sin6_family = AF_INET6,
		.sin6_addr = to->sin6_addr,
		.sin6_scope_id = to->sin6_scope_id};
	return send_raw(AF_INET6, &packet, sizeof(packet), &name, sizeof(name));
}

static struct in_addr mapped(const struct in6_addr *a)
{
	struct in_addr v4;
	memcpy(&v4, &a->s6_addr[12], sizeof(v4));
	return v4;
}

/* What the peer would advertise: the window that is known of it. */
static uint16_t peer_window(const struct fermata_tcp *c)
{
	uint32_t window = c->has_window ? c->snd_wnd >> c->snd_wscale : 0xffff;
	return window < 0xffff ? (uint16_t)window : 0xffff;
}

int inject_segment(const struct fermata_tcp *c, uint32_t seq, uint32_t ack, unsigned flags)
{
	struct tcphdr th = {.seq = htonl(seq),
		.ack_seq = htonl(ack),
		.doff = sizeof(th) / 4,
		.ack = !!(flags & SEGMENT_ACK),
		.fin = !!(flags & SEGMENT_FIN),
		.window = htons(peer_window(c))};
	if (c->local.ss_family == AF_INET) {
		const struct sockaddr_in *to = (const struct sockaddr_in *)&c->local;
		const struct sockaddr_in *from = (const struct sockaddr_in *)&c->remote;
		th.source = from->sin_port;
		th.dest = to->sin_port;
		return inject4(&th, from->sin_addr, to->sin_addr);
	}
	const struct sockaddr_in6 *to = (const struct sockaddr_in6 *)&c->local;
	const struct sockaddr_in6 *from = (const struct sockaddr_in6 *)&c->remote;
	th.source = from->sin6_port;
	th.dest = to->sin6_port;
	if (IN6_IS_ADDR_V4MAPPED(&to->sin6_addr))
		return inject4(&th, mapped(&from->sin6_addr), mapped(&to->sin6_addr));
	return inject6(&th, from, to);
}
