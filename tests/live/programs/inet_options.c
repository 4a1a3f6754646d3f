/*
 * Options of inet sockets: every one of the table is set to something unusual on a socket of its
 * kind and is the same afterwards; those the image format has no field for, too.
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 * PROVES: F172 F170 F168
 */
#include <linux/filter.h>
#include <linux/in6.h>
#include <linux/net_tstamp.h>

#include "inet.h"

enum {
	LISTENER,
	CLIENT,
	SERVER,
	FRESH,
	UDP4,
	UDP6,
	DUAL,
	BY_NUMBER,
	BOUND,
	LISTENER6,
	CLIENT6,
	SERVER6,
	CLIENT4B, /* another connection of IPv4 */
	SERVER4B,
	MAPPED_CLIENT, /* of IPv6, to an address of IPv4 */
	MAPPED_SERVER,
	N_SOCKETS
};

static int fds[N_SOCKETS];

#define TCPS (1 << LISTENER | 1 << CLIENT | 1 << SERVER | 1 << FRESH)
#define ALL  (TCPS | 1 << UDP4 | 1 << UDP6)
#define V4S  (TCPS | 1 << UDP4)
/* Ends of connections: what lists tell of them is not asked for. */
#define ENDS4	(1 << CLIENT | 1 << SERVER4B)
#define ENDS6	(1 << CLIENT6 | 1 << MAPPED_SERVER)
#define ENDS	(ENDS4 | ENDS6)
#define OTHERS4 (1 << SERVER | 1 << CLIENT4B)
#define OTHERS6 (1 << SERVER6 | 1 << MAPPED_CLIENT)

static const struct option {
	int level, option, value, sockets;
} options[] = {
	{SOL_SOCKET, SO_KEEPALIVE, 1, TCPS},
	{SOL_SOCKET, SO_OOBINLINE, 1, ALL},
	{SOL_SOCKET, SO_PRIORITY, 5, ALL},
	{SOL_SOCKET, SO_MARK, 77, ALL},
	{SOL_SOCKET, SO_RCVLOWAT, 3, ALL},
	{SOL_SOCKET, SO_DONTROUTE, 1, 1 << UDP4},
	{SOL_SOCKET, SO_BROADCAST, 1, 1 << UDP4},
	{SOL_SOCKET, SO_NO_CHECK, 1, 1 << UDP4},
	{SOL_SOCKET, SO_RXQ_OVFL, 1, 1 << UDP4},
	{SOL_SOCKET, SO_SNDBUF, 50000, 1 << UDP4 | 1 << FRESH},
	{SOL_SOCKET, SO_RCVBUF, 60000, 1 << UDP4 | 1 << FRESH},
	{IPPROTO_TCP, TCP_NODELAY, 1, TCPS},
	{IPPROTO_TCP, TCP_CORK, 1, 1 << CLIENT},
	{IPPROTO_TCP, TCP_KEEPIDLE, 111, TCPS},
	{IPPROTO_TCP, TCP_KEEPINTVL, 11, TCPS},
	{IPPROTO_TCP, TCP_KEEPCNT, 4, TCPS},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, 54321, TCPS},
	{IPPROTO_TCP, TCP_SYNCNT, 3, TCPS},
	{IPPROTO_TCP, TCP_LINGER2, 7, TCPS},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, 1, 1 << LISTENER},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, 65536, TCPS},
	{IPPROTO_TCP, TCP_INQ, 1, 1 << CLIENT},
	{IPPROTO_TCP, TCP_MAXSEG, 1111, 1 << FRESH},
	{IPPROTO_TCP, TCP_WINDOW_CLAMP, 22222, 1 << FRESH},
	{IPPROTO_TCP, TCP_FASTOPEN, 5, 1 << LISTENER},
	{IPPROTO_IP, IP_TOS, 0x48, V4S},
	{IPPROTO_IP, IP_TTL, 44, V4S},
	{IPPROTO_IP, IP_FREEBIND, 1, 1 << UDP4 | 1 << FRESH},
	{IPPROTO_IP, IP_TRANSPARENT, 1, 1 << UDP4},
	{IPPROTO_IP, IP_PKTINFO, 1, 1 << UDP4},
	{IPPROTO_IP, IP_RECVTTL, 1, 1 << UDP4},
	{IPPROTO_IP, IP_RECVTOS, 1, 1 << UDP4},
	{IPPROTO_IP, IP_RECVERR, 1, 1 << UDP4},
	{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO, V4S},
	{IPPROTO_IP, IP_MULTICAST_TTL, 9, 1 << UDP4},
	{IPPROTO_IP, IP_MULTICAST_LOOP, 0, 1 << UDP4},
	{IPPROTO_IP, IP_MULTICAST_ALL, 0, 1 << UDP4},
	{IPPROTO_IP, IP_MINTTL, 5, V4S},
	{IPPROTO_IPV6, IPV6_V6ONLY, 1, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, 55, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_TCLASS, 0x20, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_RECVTCLASS, 1, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 8, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_DONTFRAG, 1, 1 << UDP6},
	{IPPROTO_IP, IP_RECVTTL, 1, 1 << UDP6},
	{IPPROTO_IP, IP_RECVORIGDSTADDR, 1, 1 << UDP6},
	{IPPROTO_IP, IP_MULTICAST_TTL, 7, 1 << UDP6},
	{IPPROTO_IPV6, 11 /* IPV6_FLOWINFO */, 1, 1 << UDP6},
	{IPPROTO_IPV6, 33 /* IPV6_FLOWINFO_SEND */, 1, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_2292PKTINFO, 1, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_2292HOPLIMIT, 1, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_2292RTHDR, 1, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_2292HOPOPTS, 1, 1 << UDP6},
	{IPPROTO_IPV6, IPV6_2292DSTOPTS, 1, 1 << UDP6},
	{SOL_SOCKET, 74 /* SO_TXREHASH */, 0, TCPS},
	{SOL_SOCKET, SO_INCOMING_CPU, 0, 1 << LISTENER},
	{IPPROTO_TCP, TCP_WINDOW_CLAMP, 5000, 1 << CLIENT},
	{SOL_SOCKET, SO_SNDBUF, 40000, ENDS},
	{SOL_SOCKET, SO_RCVBUF, 70000, OTHERS4 | OTHERS6},
	{SOL_SOCKET, SO_MARK, 78, ENDS6 | 1 << LISTENER6 | 1 << SERVER4B},
	{SOL_SOCKET, SO_TIMESTAMP, 1, 1 << CLIENT},
	{SOL_SOCKET, 64 /* SO_TIMESTAMPNS_NEW */, 1, 1 << SERVER},
	{SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE, 1 << CLIENT4B | 1 << CLIENT6},
	{SOL_SOCKET, 65 /* SO_TIMESTAMPING_NEW */, SOF_TIMESTAMPING_SOFTWARE,
		1 << SERVER4B | 1 << SERVER6},
	{IPPROTO_IP, IP_TOS, 0x24, 1 << SERVER4B | 1 << MAPPED_CLIENT | 1 << SERVER6},
	{IPPROTO_IP, IP_RECVERR, 1, ENDS},
	{IPPROTO_IP, IP_FREEBIND, 1, OTHERS4},
	{IPPROTO_IP, IP_TRANSPARENT, 1, ENDS4},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, OTHERS4 | OTHERS6},
	{IPPROTO_IP, 26 /* IP_RECVERR_RFC4884 */, 1, ENDS},
	{IPPROTO_IP, IP_PKTINFO, 1, 1 << CLIENT | 1 << MAPPED_CLIENT},
	{IPPROTO_IP, IP_RECVTTL, 1, 1 << SERVER | 1 << MAPPED_SERVER},
	{IPPROTO_IP, IP_RECVTOS, 1, 1 << CLIENT4B | 1 << CLIENT6},
	{IPPROTO_IPV6, IPV6_TCLASS, 0x28, ENDS6},
	{IPPROTO_IPV6, IPV6_FREEBIND, 1, OTHERS6},
	{IPPROTO_IPV6, IPV6_TRANSPARENT, 1, ENDS6},
	{IPPROTO_IPV6, IPV6_RECVERR, 1, OTHERS6},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, ENDS6},
	{IPPROTO_UDP, 104 /* UDP_GRO */, 1, 1 << UDP4},
	{IPPROTO_UDP, 103 /* UDP_SEGMENT */, 1200, 1 << UDP4},
};

enum { N_OPTIONS = sizeof(options) / sizeof(options[0]) };

static int before[N_OPTIONS][N_SOCKETS];

static void each(void (*what)(int option, int socket))
{
	for (int o = 0; o < N_OPTIONS; o++)
		for (int s = 0; s < N_SOCKETS; s++)
			if (options[o].sockets & 1 << s)
				what(o, s);
}

static void set_one(int o, int s)
{
	set_opt(fds[s], options[o].level, options[o].option, options[o].value);
}

static void remember(int o, int s)
{
	before[o][s] = get_opt(fds[s], options[o].level, options[o].option);
}

static void compare(int o, int s)
{
	int now = get_opt(fds[s], options[o].level, options[o].option);

	if (now != before[o][s])
		bad("socket %d: option %d of level %d is %d, was %d", s, options[o].option,
			options[o].level, now, before[o][s]);
}

static void need_congestion(int fd, const char *name)
{
	char now[32] = "";
	socklen_t len = sizeof(now);

	NEED(!getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, now, &len) && !strcmp(now, name));
}

static uint64_t pacing_of(int fd)
{
	uint64_t rate = 0;
	socklen_t len = sizeof(rate);

	NEED(!getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len) && len == sizeof(rate));
	return rate;
}

static void need_timeout(int fd, int option, long sec, long usec)
{
	struct timeval t;
	socklen_t len = sizeof(t);

	NEED(!getsockopt(fd, SOL_SOCKET, option, &t, &len));
	SAME(t.tv_sec, sec);
	/* the kernel rounds up to its own ticks */
	NEED(t.tv_usec >= usec && t.tv_usec < usec + 10000);
}

/* Options that are not an int each: keys, headers, groups, an interface by its number. */
static const char fastopen_key[] = "0123456789abcdef";
static const char header[8] = {0, 0, 1, 4}; /* all padding */

static struct group_req group4(void)
{
	struct group_req req = {.gr_interface = 1};
	struct sockaddr_in *in = (struct sockaddr_in *)&req.gr_group;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr("239.1.2.3");
	return req;
}

static void set_others(void)
{
	struct ip_mreqn by_number = {.imr_ifindex = 1};
	struct group_req req = group4();

	NEED(!setsockopt(fds[LISTENER], IPPROTO_TCP, 33 /* TCP_FASTOPEN_KEY */, fastopen_key, 16));
	NEED(!setsockopt(fds[UDP6], IPPROTO_IPV6, IPV6_DSTOPTS, header, sizeof(header)));
	NEED(!setsockopt(
		fds[BY_NUMBER], IPPROTO_IP, IP_MULTICAST_IF, &by_number, sizeof(by_number)));
	NEED(!setsockopt(fds[DUAL], IPPROTO_IP, MCAST_JOIN_GROUP, &req, sizeof(req)));
}

/* Without a route to groups, and from no address, it takes an interface of its own to reach one. */
static int reach_group(int fd)
{
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 9, &name);
	char room[CMSG_SPACE(sizeof(struct in_pktinfo))] = "";
	struct msghdr m = {.msg_name = &name,
		.msg_namelen = len,
		.msg_control = room,
		.msg_controllen = sizeof(room)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	((struct sockaddr_in *)&name)->sin_addr.s_addr = inet_addr("239.9.9.9");
	c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	return sendmsg(fd, &m, MSG_DONTROUTE) < 0 ? errno : 0;
}

static void need_others(void)
{
	char now[64] = "";
	socklen_t len = sizeof(now);
	struct group_filter *filter;
	struct group_req req = group4();
	char room[GROUP_FILTER_SIZE(1)] = "";

	NEED(!getsockopt(fds[LISTENER], IPPROTO_TCP, 33, now, &len));
	NEED(len == 16 && !memcmp(now, fastopen_key, 16));
	len = sizeof(now);
	NEED(!getsockopt(fds[UDP6], IPPROTO_IPV6, IPV6_DSTOPTS, now, &len));
	NEED(len == sizeof(header) && !memcmp(now, header, len));
	SAME(reach_group(fds[BOUND]), ENETUNREACH);
	SAME(reach_group(fds[BY_NUMBER]), 0);
	filter = (struct group_filter *)room;
	filter->gf_interface = 1;
	filter->gf_group = req.gr_group;
	len = sizeof(room);
	NEED(!getsockopt(fds[DUAL], IPPROTO_IP, MCAST_MSFILTER, room, &len));
}

/* To the loopback interface. */
static const int bound[] = {LISTENER, SERVER, CLIENT6};

int main(int argc, char **argv)
{
	struct timeval send = {3, 500000}, receive = {4, 0};
	struct linger linger = {1, 17};
	struct sockaddr_storage name;
	socklen_t len = name_at(0, 0, &name);
	uint64_t pacing = 0x123456789;
	char device[16] = "";

	setup(argc, argv);
	fds[LISTENER] = listen_at(0, 0, 7);
	struct pair p = connect_pair(fds[LISTENER]);
	fds[CLIENT] = p.client;
	fds[SERVER] = p.server;
	p = connect_pair(fds[LISTENER]);
	fds[CLIENT4B] = p.client;
	fds[SERVER4B] = p.server;
	fds[LISTENER6] = listen_at(1, 0, 7);
	p = connect_pair(fds[LISTENER6]);
	fds[CLIENT6] = p.client;
	fds[SERVER6] = p.server;
	p = connect_pair(listen_at(2, 0, 7));
	fds[MAPPED_CLIENT] = p.client;
	fds[MAPPED_SERVER] = p.server;
	fds[FRESH] = socket(AF_INET, SOCK_STREAM, 0);
	fds[UDP4] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[UDP6] = socket(AF_INET6, SOCK_DGRAM, 0);
	fds[DUAL] = socket(AF_INET6, SOCK_DGRAM, 0);
	fds[BY_NUMBER] = bound_socket(0, SOCK_DGRAM, 0, 0, false);
	fds[BOUND] = bound_socket(0, SOCK_DGRAM, 0, 0, false);
	each(set_one);
	each(remember);
	/* an address that is nobody's, by the permission of IP_FREEBIND */
	((struct sockaddr_in *)&name)->sin_addr.s_addr = inet_addr("192.0.2.1");
	NEED(!bind(fds[FRESH], (struct sockaddr *)&name, len));
	NEED(!bind(fds[UDP4], (struct sockaddr *)&name, len));
	int ports[2] = {port_of(fds[FRESH]), port_of(fds[UDP4])};
	set_opt(fds[FRESH], IPPROTO_IP, IP_FREEBIND, 1);
	NEED(!setsockopt(fds[CLIENT], SOL_SOCKET, SO_SNDTIMEO, &send, sizeof(send)));
	NEED(!setsockopt(fds[CLIENT], SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof(receive)));
	NEED(!setsockopt(fds[CLIENT], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	NEED(!setsockopt(fds[CLIENT], IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	NEED(!setsockopt(fds[SERVER6], IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	NEED(!setsockopt(fds[SERVER4B], SOL_SOCKET, SO_MAX_PACING_RATE, &pacing, sizeof(pacing)));
	NEED(!setsockopt(fds[CLIENT6], SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	NEED(!setsockopt(fds[LISTENER], SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	NEED(!setsockopt(fds[SERVER], SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	set_others();
	park();
	each(compare);
	need_others();
	SAME(port_of(fds[FRESH]), ports[0]);
	SAME(port_of(fds[UDP4]), ports[1]);
	need_timeout(fds[CLIENT], SO_SNDTIMEO, 3, 500000);
	need_timeout(fds[CLIENT], SO_RCVTIMEO, 4, 0);
	linger = (struct linger){0, 0};
	len = sizeof(linger);
	NEED(!getsockopt(fds[CLIENT], SOL_SOCKET, SO_LINGER, &linger, &len));
	NEED(linger.l_onoff == 1 && linger.l_linger == 17);
	need_congestion(fds[CLIENT], "reno");
	need_congestion(fds[SERVER6], "reno");
	NEED(pacing_of(fds[SERVER4B]) == pacing);
	NEED(pacing_of(fds[CLIENT4B]) == UINT64_MAX);
	for (unsigned i = 0; i < sizeof(bound) / sizeof(*bound); i++) {
		len = sizeof(device);
		NEED(!getsockopt(fds[bound[i]], SOL_SOCKET, SO_BINDTODEVICE, device, &len));
		NEED(!strcmp(device, "lo"));
	}
	SAME(get_opt(fds[CLIENT], SOL_SOCKET, SO_REUSEADDR), 0);
	SAME(get_opt(fds[SERVER], SOL_SOCKET, SO_REUSEADDR), 1);
	SAME(get_opt(fds[LISTENER], SOL_SOCKET, SO_REUSEADDR), 1);
	put_stream(fds[SERVER], 0, 100, 1);
	need_stream(fds[CLIENT], 0, 100, 1);
	ok();
}
