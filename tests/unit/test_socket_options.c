/*
 * Every option that Linux 6.18 takes or tells of sockets that are dumped, and what becomes of it.
 *
 * The list is checked against the code's own tables (what is KEPT must be asked for by a dump, and
 * the other way round), and against the kernel: an option it tells that is not here fails.
 * Levels of netlink and packet sockets have no tables with names; only the kernel checks those.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket/inet.h"

#include <cmocka.h> /* has a fail() of its own */

enum fate {
	KEPT,	  /* saved and set again */
	TOLD,	  /* the kernel tells it of what is restored in other ways; nobody sets it */
	ACTION,	  /* does something at once; leaves no state, or one that other options tell */
	REFUSED,  /* a dump is refused while it is in force */
	SYSTEM,	  /* state of the network namespace, not of the socket */
	NO_STATE, /* the kernel takes it and does nothing, or changes it by itself all the time */
	LOST,	  /* the kernel does not tell it, in no way that was found */
};

struct known {
	int level, option;
	const char *name;
	enum fate fate;
	const char *why;
};

#define SK(n, name, fate, ...)                                  \
	{                                                       \
		SOL_SOCKET, n, "SO_" #name, fate, ##__VA_ARGS__ \
	}
#define IP(n, name, fate, ...)                                  \
	{                                                       \
		IPPROTO_IP, n, "IP_" #name, fate, ##__VA_ARGS__ \
	}
#define IP6(n, name, fate, ...)                                     \
	{                                                           \
		IPPROTO_IPV6, n, "IPV6_" #name, fate, ##__VA_ARGS__ \
	}
#define TCP(n, name, fate, ...)                                   \
	{                                                         \
		IPPROTO_TCP, n, "TCP_" #name, fate, ##__VA_ARGS__ \
	}
#define UDP(n, name, fate, ...)                                   \
	{                                                         \
		IPPROTO_UDP, n, "UDP_" #name, fate, ##__VA_ARGS__ \
	}
#define LITE(n, name, fate, ...)                                          \
	{                                                                 \
		IPPROTO_UDPLITE, n, "UDPLITE_" #name, fate, ##__VA_ARGS__ \
	}
#define NL(n, name, fate, ...)                                        \
	{                                                             \
		SOL_NETLINK, n, "NETLINK_" #name, fate, ##__VA_ARGS__ \
	}
#define PKT(n, name, fate, ...)                                     \
	{                                                           \
		SOL_PACKET, n, "PACKET_" #name, fate, ##__VA_ARGS__ \
	}

static const struct known all[] = {
	SK(1, DEBUG, KEPT),
	SK(2, REUSEADDR, KEPT),
	SK(3, TYPE, TOLD),
	SK(4, ERROR, REFUSED, "an error that waits shows by poll()"),
	SK(5, DONTROUTE, KEPT),
	SK(6, BROADCAST, KEPT),
	SK(7, SNDBUF, KEPT),
	SK(8, RCVBUF, KEPT),
	SK(9, KEEPALIVE, KEPT),
	SK(10, OOBINLINE, KEPT),
	SK(11, NO_CHECK, KEPT),
	SK(12, PRIORITY, KEPT),
	SK(13, LINGER, KEPT),
	SK(14, BSDCOMPAT, NO_STATE),
	SK(15, REUSEPORT, KEPT),
	SK(16, PASSCRED, KEPT),
	SK(17, PEERCRED, TOLD, "of unix sockets restored as their state"),
	SK(18, RCVLOWAT, KEPT),
	SK(19, SNDLOWAT, NO_STATE, "always 1"),
	SK(20, RCVTIMEO_OLD, KEPT),
	SK(21, SNDTIMEO_OLD, KEPT),
	SK(22, SECURITY_AUTHENTICATION, NO_STATE),
	SK(23, SECURITY_ENCRYPTION_TRANSPORT, NO_STATE),
	SK(24, SECURITY_ENCRYPTION_NETWORK, NO_STATE),
	SK(25, BINDTODEVICE, KEPT),
	SK(26, ATTACH_FILTER, KEPT),
	SK(27, DETACH_FILTER, ACTION),
	SK(28, PEERNAME, TOLD),
	SK(29, TIMESTAMP_OLD, KEPT),
	SK(30, ACCEPTCONN, TOLD),
	SK(31, PEERSEC, TOLD),
	SK(32, SNDBUFFORCE, KEPT),
	SK(33, RCVBUFFORCE, KEPT),
	SK(34, PASSSEC, KEPT),
	SK(35, TIMESTAMPNS_OLD, KEPT),
	SK(36, MARK, KEPT),
	SK(37, TIMESTAMPING_OLD, KEPT, "with SOF_TIMESTAMPING_OPT_ID refused"),
	SK(38, PROTOCOL, TOLD),
	SK(39, DOMAIN, TOLD),
	SK(40, RXQ_OVFL, KEPT),
	SK(41, WIFI_STATUS, KEPT),
	SK(42, PEEK_OFF, KEPT),
	SK(43, NOFCS, KEPT),
	SK(44, LOCK_FILTER, KEPT),
	SK(45, SELECT_ERR_QUEUE, KEPT),
	SK(46, BUSY_POLL, KEPT),
	SK(47, MAX_PACING_RATE, KEPT),
	SK(48, BPF_EXTENSIONS, TOLD),
	SK(49, INCOMING_CPU, KEPT, "of listeners; of others the kernel sets it with each packet"),
	SK(50, ATTACH_BPF, REFUSED, "SO_GET_FILTER says EACCES"),
	SK(51, ATTACH_REUSEPORT_CBPF, KEPT,
		"by the kernel's memory; where that is not allowed, a warning"),
	SK(52, ATTACH_REUSEPORT_EBPF, REFUSED,
		"likewise, or if the kernel lists a program that may be it"),
	SK(53, CNX_ADVICE, ACTION),
	SK(55, MEMINFO, TOLD),
	SK(56, INCOMING_NAPI_ID, TOLD),
	SK(57, COOKIE, LOST, "a number that the kernel counts up; nobody can choose it"),
	SK(59, PEERGROUPS, TOLD),
	SK(60, ZEROCOPY, KEPT, "refused: what is sent is numbered, and the number is not told"),
	SK(61, TXTIME, KEPT),
	SK(62, BINDTOIFINDEX, TOLD, "the same as SO_BINDTODEVICE"),
	SK(63, TIMESTAMP_NEW, KEPT),
	SK(64, TIMESTAMPNS_NEW, KEPT),
	SK(65, TIMESTAMPING_NEW, KEPT),
	SK(66, RCVTIMEO_NEW, KEPT),
	SK(67, SNDTIMEO_NEW, KEPT),
	SK(68, DETACH_REUSEPORT_BPF, ACTION),
	SK(69, PREFER_BUSY_POLL, KEPT),
	SK(70, BUSY_POLL_BUDGET, LOST, "not told; packets that are polled for at once"),
	SK(71, NETNS_COOKIE, TOLD),
	SK(72, BUF_LOCK, KEPT),
	SK(73, RESERVE_MEM, NO_STATE, "memory charged ahead, of the cgroup's budget"),
	SK(74, TXREHASH, KEPT, "if it was switched off"),
	SK(75, RCVMARK, KEPT),
	SK(76, PASSPIDFD, KEPT),
	SK(77, PEERPIDFD, TOLD),
	SK(78, DEVMEM_LINEAR, ACTION),
	SK(79, DEVMEM_DMABUF, ACTION),
	SK(80, DEVMEM_DONTNEED, ACTION),
	SK(82, RCVPRIORITY, KEPT),
	SK(83, PASSRIGHTS, KEPT),
	SK(84, INQ, KEPT),

	IP(1, TOS, KEPT),
	IP(2, TTL, KEPT),
	IP(3, HDRINCL, KEPT),
	IP(4, OPTIONS, KEPT),
	IP(5, ROUTER_ALERT, KEPT),
	IP(6, RECVOPTS, KEPT),
	IP(7, RETOPTS, KEPT),
	IP(8, PKTINFO, KEPT),
	IP(9, PKTOPTIONS, TOLD),
	IP(10, MTU_DISCOVER, KEPT),
	IP(11, RECVERR, KEPT),
	IP(12, RECVTTL, KEPT),
	IP(13, RECVTOS, KEPT),
	IP(14, MTU, TOLD),
	IP(15, FREEBIND, KEPT),
	IP(16, IPSEC_POLICY, LOST, "policies are listed, but not whose they are"),
	IP(17, XFRM_POLICY, LOST, "likewise"),
	IP(18, PASSSEC, KEPT),
	IP(19, TRANSPARENT, KEPT),
	IP(20, RECVORIGDSTADDR, KEPT),
	IP(21, MINTTL, KEPT),
	IP(22, NODEFRAG, KEPT),
	IP(23, CHECKSUM, KEPT),
	IP(24, BIND_ADDRESS_NO_PORT, KEPT),
	IP(25, RECVFRAGSIZE, KEPT),
	IP(26, RECVERR_RFC4884, KEPT),
	IP(32, MULTICAST_IF, KEPT, "by number found out or refused: inet_hidden.c"),
	IP(33, MULTICAST_TTL, KEPT),
	IP(34, MULTICAST_LOOP, KEPT),
	IP(35, ADD_MEMBERSHIP, ACTION, "memberships: MCAST_MSFILTER"),
	IP(36, DROP_MEMBERSHIP, ACTION),
	IP(37, UNBLOCK_SOURCE, ACTION),
	IP(38, BLOCK_SOURCE, ACTION),
	IP(39, ADD_SOURCE_MEMBERSHIP, ACTION),
	IP(40, DROP_SOURCE_MEMBERSHIP, ACTION),
	IP(41, MSFILTER, TOLD, "MCAST_MSFILTER tells it"),
	IP(42, MCAST_JOIN_GROUP, ACTION),
	IP(43, MCAST_BLOCK_SOURCE, ACTION),
	IP(44, MCAST_UNBLOCK_SOURCE, ACTION),
	IP(45, MCAST_LEAVE_GROUP, ACTION),
	IP(46, MCAST_JOIN_SOURCE_GROUP, ACTION),
	IP(47, MCAST_LEAVE_SOURCE_GROUP, ACTION),
	IP(48, MCAST_MSFILTER, TOLD, "of all groups of the namespace: multicast.c"),
	IP(49, MULTICAST_ALL, KEPT),
	IP(50, UNICAST_IF, KEPT),
	IP(51, LOCAL_PORT_RANGE, KEPT),
	IP(52, PROTOCOL, TOLD),
	IP(64, IPT_SO_GET_INFO, SYSTEM),
	IP(65, IPT_SO_GET_ENTRIES, SYSTEM),
	IP(66, IPT_SO_GET_REVISION_MATCH, SYSTEM),
	IP(67, IPT_SO_GET_REVISION_TARGET, SYSTEM),
	IP(80, SO_ORIGINAL_DST, SYSTEM, "connection tracking"),
	IP(83, SO_IP_SET, SYSTEM),
	IP(96, ARPT_SO_GET_INFO, SYSTEM),
	IP(97, ARPT_SO_GET_ENTRIES, SYSTEM),
	IP(98, ARPT_SO_98, SYSTEM),
	IP(99, ARPT_SO_GET_REVISION_TARGET, SYSTEM),
	IP(200, MRT_INIT, REFUSED, "by the sysctl mc_forwarding"),

	IP6(1, ADDRFORM, ACTION),
	IP6(2, 2292PKTINFO, KEPT),
	IP6(3, 2292HOPOPTS, KEPT),
	IP6(4, 2292DSTOPTS, KEPT),
	IP6(5, 2292RTHDR, KEPT),
	IP6(6, 2292PKTOPTIONS, TOLD),
	IP6(7, CHECKSUM, KEPT),
	IP6(8, 2292HOPLIMIT, KEPT),
	IP6(11, FLOWINFO, KEPT),
	IP6(16, UNICAST_HOPS, KEPT),
	IP6(17, MULTICAST_IF, KEPT),
	IP6(18, MULTICAST_HOPS, KEPT),
	IP6(19, MULTICAST_LOOP, KEPT),
	IP6(20, JOIN_GROUP, ACTION, "memberships: MCAST_MSFILTER"),
	IP6(21, LEAVE_GROUP, ACTION),
	IP6(22, ROUTER_ALERT, REFUSED, "which alerts is not told"),
	IP6(23, MTU_DISCOVER, KEPT),
	IP6(24, MTU, LOST, "the limit is not told, only the path's"),
	IP6(25, RECVERR, KEPT),
	IP6(26, V6ONLY, KEPT),
	IP6(27, JOIN_ANYCAST, LOST, "anycast groups are listed, but not whose they are"),
	IP6(28, LEAVE_ANYCAST, ACTION),
	IP6(29, MULTICAST_ALL, KEPT),
	IP6(30, ROUTER_ALERT_ISOLATE, KEPT),
	IP6(31, RECVERR_RFC4884, KEPT),
	IP6(32, FLOWLABEL_MGR, LOST, "leases of flow labels are listed, but not whose they are"),
	IP6(33, FLOWINFO_SEND, KEPT),
	IP6(34, IPSEC_POLICY, LOST, "policies are listed, but not whose they are"),
	IP6(35, XFRM_POLICY, LOST, "likewise"),
	IP6(36, HDRINCL, KEPT),
	IP6(48, MCAST_MSFILTER, TOLD),
	IP6(49, RECVPKTINFO, KEPT),
	IP6(50, PKTINFO, REFUSED, "an interface of it: inet_hidden.c"),
	IP6(51, RECVHOPLIMIT, KEPT),
	IP6(53, RECVHOPOPTS, KEPT),
	IP6(54, HOPOPTS, KEPT),
	IP6(55, RTHDRDSTOPTS, KEPT),
	IP6(56, RECVRTHDR, KEPT),
	IP6(57, RTHDR, KEPT),
	IP6(58, RECVDSTOPTS, KEPT),
	IP6(59, DSTOPTS, KEPT),
	IP6(60, RECVPATHMTU, KEPT),
	IP6(61, PATHMTU, TOLD),
	IP6(62, DONTFRAG, KEPT),
	IP6(64, IP6T_SO_GET_INFO, SYSTEM),
	IP6(65, IP6T_SO_GET_ENTRIES, SYSTEM),
	IP6(66, RECVTCLASS, KEPT),
	IP6(67, TCLASS, KEPT),
	IP6(68, IP6T_SO_GET_REVISION_MATCH, SYSTEM),
	IP6(69, IP6T_SO_GET_REVISION_TARGET, SYSTEM),
	IP6(70, AUTOFLOWLABEL, KEPT),
	IP6(72, ADDR_PREFERENCES, KEPT),
	IP6(73, MINHOPCOUNT, KEPT),
	IP6(74, RECVORIGDSTADDR, KEPT),
	IP6(75, TRANSPARENT, KEPT),
	IP6(76, UNICAST_IF, KEPT),
	IP6(77, RECVFRAGSIZE, KEPT),
	IP6(78, FREEBIND, KEPT),
	IP6(80, IP6T_SO_ORIGINAL_DST, SYSTEM),
	IP6(200, MRT6_INIT, REFUSED, "by the sysctl mc_forwarding"),
	IP6(206, MRT6_VERSION, SYSTEM),
	IP6(207, MRT6_ASSERT, SYSTEM),
	IP6(208, MRT6_PIM, SYSTEM),

	TCP(1, NODELAY, KEPT),
	TCP(2, MAXSEG, KEPT),
	TCP(3, CORK, KEPT),
	TCP(4, KEEPIDLE, KEPT),
	TCP(5, KEEPINTVL, KEPT),
	TCP(6, KEEPCNT, KEPT),
	TCP(7, SYNCNT, KEPT),
	TCP(8, LINGER2, KEPT),
	TCP(9, DEFER_ACCEPT, KEPT),
	TCP(10, WINDOW_CLAMP, KEPT),
	TCP(11, INFO, TOLD),
	TCP(12, QUICKACK, NO_STATE, "the kernel changes it by itself"),
	TCP(13, CONGESTION, KEPT),
	TCP(14, MD5SIG, REFUSED, "keys are listed, but not told"),
	TCP(16, THIN_LINEAR_TIMEOUTS, KEPT),
	TCP(17, THIN_DUPACK, NO_STATE),
	TCP(18, USER_TIMEOUT, KEPT),
	TCP(19, REPAIR, ACTION),
	TCP(20, REPAIR_QUEUE, ACTION),
	TCP(21, QUEUE_SEQ, TOLD),
	TCP(22, REPAIR_OPTIONS, ACTION),
	TCP(23, FASTOPEN, KEPT),
	TCP(24, TIMESTAMP, TOLD, "lib/tcp"),
	TCP(25, NOTSENT_LOWAT, KEPT),
	TCP(26, CC_INFO, TOLD),
	TCP(27, SAVE_SYN, KEPT),
	TCP(28, SAVED_SYN, REFUSED),
	TCP(29, REPAIR_WINDOW, TOLD, "lib/tcp"),
	TCP(30, FASTOPEN_CONNECT, KEPT),
	TCP(31, ULP, REFUSED, "TLS and others"),
	TCP(32, MD5SIG_EXT, REFUSED),
	TCP(33, FASTOPEN_KEY, KEPT),
	TCP(34, FASTOPEN_NO_COOKIE, KEPT),
	TCP(35, ZEROCOPY_RECEIVE, ACTION),
	TCP(36, INQ, KEPT),
	TCP(37, TX_DELAY, KEPT),
	TCP(38, AO_ADD_KEY, REFUSED, "the kernel says which keys there are, but not them"),
	TCP(39, AO_DEL_KEY, ACTION),
	TCP(40, AO_INFO, REFUSED),
	TCP(41, AO_GET_KEYS, TOLD),
	TCP(42, AO_REPAIR, ACTION),
	TCP(43, IS_MPTCP, TOLD),
	TCP(44, RTO_MAX_MS, KEPT),
	TCP(45, RTO_MIN_US, KEPT),
	TCP(46, DELACK_MAX_US, KEPT),

	UDP(1, CORK, REFUSED),
	UDP(10, SEND_CSCOV, NO_STATE, "of UDP-Lite"),
	UDP(11, RECV_CSCOV, NO_STATE, "of UDP-Lite"),
	UDP(100, ENCAP, KEPT, "of IPsec; others are refused"),
	UDP(101, NO_CHECK6_TX, KEPT),
	UDP(102, NO_CHECK6_RX, KEPT),
	UDP(103, SEGMENT, KEPT),
	UDP(104, GRO, KEPT),
	LITE(1, CORK, REFUSED),
	LITE(10, SEND_CSCOV, KEPT),
	LITE(11, RECV_CSCOV, KEPT),
	LITE(100, ENCAP, NO_STATE),
	LITE(101, NO_CHECK6_TX, KEPT),
	LITE(102, NO_CHECK6_RX, KEPT),
	LITE(103, SEGMENT, KEPT),
	LITE(104, GRO, KEPT),

	{SOL_RAW, 1, "ICMP_FILTER", KEPT, NULL},
	{SOL_RAW, 7, "IPV6_CHECKSUM", TOLD, "as one of level IPPROTO_IPV6"},
	{SOL_RAW, 36, "IPV6_HDRINCL", TOLD, "likewise"},
	{IPPROTO_ICMPV6, 1, "ICMPV6_FILTER", KEPT, NULL},

	NL(1, ADD_MEMBERSHIP, ACTION),
	NL(2, DROP_MEMBERSHIP, ACTION),
	NL(3, PKTINFO, KEPT),
	NL(4, BROADCAST_ERROR, KEPT),
	NL(5, NO_ENOBUFS, KEPT),
	NL(8, LISTEN_ALL_NSID, KEPT),
	NL(9, LIST_MEMBERSHIPS, TOLD),
	NL(10, CAP_ACK, KEPT),
	NL(11, EXT_ACK, KEPT),
	NL(12, GET_STRICT_CHK, KEPT),

	PKT(1, ADD_MEMBERSHIP, ACTION, "sock_diag lists them"),
	PKT(2, DROP_MEMBERSHIP, ACTION),
	PKT(5, RX_RING, REFUSED, "sock_diag shows it"),
	PKT(6, STATISTICS, TOLD, "counts packets; being asked sets it back"),
	PKT(7, COPY_THRESH, KEPT),
	PKT(8, AUXDATA, KEPT),
	PKT(9, ORIGDEV, KEPT),
	PKT(10, VERSION, KEPT),
	PKT(11, HDRLEN, TOLD),
	PKT(12, RESERVE, KEPT),
	PKT(13, TX_RING, REFUSED, "sock_diag shows it"),
	PKT(14, LOSS, KEPT),
	PKT(15, VNET_HDR, KEPT),
	PKT(16, TX_TIMESTAMP, NO_STATE),
	PKT(17, TIMESTAMP, KEPT),
	PKT(18, FANOUT, KEPT),
	PKT(19, TX_HAS_OFF, KEPT),
	PKT(20, QDISC_BYPASS, KEPT),
	PKT(21, ROLLOVER_STATS, TOLD),
	PKT(22, FANOUT_DATA, REFUSED),
	PKT(23, IGNORE_OUTGOING, KEPT),
	PKT(24, VNET_HDR_SZ, KEPT),
};

enum { N_ALL = sizeof(all) / sizeof(all[0]) };

static const struct known *find(int level, int option)
{
	for (size_t i = 0; i < N_ALL; i++)
		if (all[i].level == level && all[i].option == option)
			return &all[i];
	return NULL;
}

/* Netlink's and packet sockets' are constants in the code of those families. */
static bool has_table(int level)
{
	return level != SOL_NETLINK && level != SOL_PACKET;
}

static bool is_kept(int level, int option)
{
	return (level == SOL_SOCKET && sk_option_is_kept(option)) ||
	       inet_option_is_kept(level, option);
}

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ALL; i++) {
		const struct known *k = &all[i];
		assert_ptr_equal(find(k->level, k->option), k); /* only once */
		if (has_table(k->level) && (k->fate == KEPT) != is_kept(k->level, k->option))
			fail_msg("%s is %skept, says the code", k->name,
				k->fate == KEPT ? "not " : "");
		if (k->fate == LOST && !k->why)
			fail_msg("%s: no reason why it is lost", k->name);
	}
}

/* The kernel's answer to an option it does not know differs by family and level. */
static bool kernel_tells(int fd, int level, int option)
{
	char value[4096];
	socklen_t len = sizeof(value);
	return getsockopt(fd, level, option, value, &len) == 0 ||
	       (errno != ENOPROTOOPT && errno != EOPNOTSUPP && errno != EPERM);
}

static void test_kernel(void **state)
{
	static const int kinds[][3] = {{AF_INET, SOCK_STREAM, 0}, {AF_INET, SOCK_DGRAM, 0},
		{AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE}, {AF_INET, SOCK_RAW, IPPROTO_ICMP},
		{AF_INET6, SOCK_STREAM, 0}, {AF_INET6, SOCK_DGRAM, 0},
		{AF_INET6, SOCK_RAW, IPPROTO_ICMPV6}, {AF_UNIX, SOCK_STREAM, 0},
		{AF_NETLINK, SOCK_RAW, 0}, {AF_PACKET, SOCK_RAW, 0}};
	static const int levels[] = {SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP,
		IPPROTO_UDPLITE, SOL_RAW, IPPROTO_ICMPV6, SOL_NETLINK, SOL_PACKET};
	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
		_cleanup_close_ int fd = socket(kinds[k][0], kinds[k][1], kinds[k][2]);
		for (size_t l = 0; fd >= 0 && l < sizeof(levels) / sizeof(*levels); l++)
			for (int option = 0; option < 256; option++)
				if (kernel_tells(fd, levels[l], option) && !find(levels[l], option))
					fail_msg("option %d of level %d is new: family %d, type %d",
						option, levels[l], kinds[k][0], kinds[k][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_kernel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
