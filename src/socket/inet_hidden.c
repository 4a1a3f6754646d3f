/*
 * States of inet sockets that no option tells: found out in other ways, or at least noticed.
 *
 * Interfaces by number.  IP_MULTICAST_IF tells the address it was given, not the number; and
 * IPV6_PKTINFO cannot be asked at all.  Both choose routes.  sendmsg() of nothing with MSG_CONFIRM
 * and MSG_PROBE looks for a route and sends nothing, and says if there is none: compared with what
 * a new socket gets.  Without gateways (MSG_DONTROUTE) a group is reachable by no route, but by any
 * interface that was chosen; from 127.0.0.1, only by the loopback interface.  A socket that was
 * never bound is not asked, since that would bind it; what is corked would be sent by it.
 *
 * A program that chooses among sockets of one port cannot be asked for: reuseport.c reads it from
 * the kernel's memory.  Where that is not allowed, eBPF programs are listed by the kernel, though
 * not where they are; of classic ones (SO_ATTACH_REUSEPORT_CBPF) there is no trace.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/bpf.h"
#include "socket/inet.h"

#ifndef MSG_PROBE
#define MSG_PROBE 0x10 /* linux/socket.h */
#endif

enum { DISCARD_PORT = 9, IGMP = 2 };

/* --- which interface --- */

static int send_nothing(int fd, struct msghdr *m, int flags)
{
	flags |= MSG_CONFIRM | MSG_PROBE | MSG_NOSIGNAL | MSG_DONTWAIT;
	return sendmsg(fd, m, flags) < 0 ? errno : 0;
}

/* Whether there is a route: 0 or an errno; whatever address the socket is bound to. */
static int probe4(int fd, const char *to, const char *from, int flags)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(DISCARD_PORT)};
	struct in_pktinfo source = {0};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(source)),
			     .cmsg_level = IPPROTO_IP,
			     .cmsg_type = IP_PKTINFO}};
	struct msghdr m = {
		.msg_name = &name,
		.msg_namelen = sizeof(name),
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	inet_pton(AF_INET, to, &name.sin_addr);
	inet_pton(AF_INET, from, &source.ipi_spec_dst);
	memcpy(CMSG_DATA(&control.head), &source, sizeof(source));
	return send_nothing(fd, &m, flags);
}

static int probe6(int fd, const char *to)
{
	struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_port = htons(DISCARD_PORT)};
	struct msghdr m = {.msg_name = &name, .msg_namelen = sizeof(name)};
	inet_pton(AF_INET6, to, &name.sin6_addr);
	return send_nothing(fd, &m, 0);
}

/* The only interface with IPv4 beside loopback; 0: none, or several. */
static unsigned only_other(void)
{
	struct ifaddrs *all = NULL;
	unsigned found = 0;
	bool several = false;
	if (getifaddrs(&all) < 0)
		return 0;
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		unsigned index = if_nametoindex(a->ifa_name);
		if (!(a->ifa_flags & IFF_UP) || a->ifa_flags & IFF_LOOPBACK)
			continue;
		several |= found && found != index;
		found = index;
	}
	freeifaddrs(all);
	return several ? 0 : found;
}

static const char group[] = "239.254.254.1", anywhere[] = "0.0.0.0", loopback[] = "127.0.0.1";

static bool keep_multicast_if(struct file_dump *d, struct dumped_file *f, unsigned index)
{
	struct ip_mreqn m = {.imr_ifindex = (int)index};
	if (index)
		sk_option_keep(d, f, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof(m));
	return index;
}

/* Whether it was set by number and that is not known. */
static bool block_multicast_if(
	struct file_dump *d, const struct file_view *v, const InetSkEntry *e, struct dumped_file *f)
{
	struct in_addr by_address = {0};
	socklen_t len = sizeof(by_address);
	_cleanup_close_ int usual = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	getsockopt(v->fd, IPPROTO_IP, IP_MULTICAST_IF, &by_address, &len);
	if (by_address.s_addr || e->opts->so_bound_dev || usual < 0)
		return false;
	bool tells_any = probe4(usual, group, anywhere, MSG_DONTROUTE) == ENETUNREACH;
	bool tells_loopback = probe4(usual, group, loopback, 0) == 0;
	int any = probe4(v->fd, group, anywhere, MSG_DONTROUTE);
	int from_loopback = probe4(v->fd, group, loopback, 0);
	bool is_other = tells_loopback && (from_loopback == EINVAL || from_loopback == ENETUNREACH);
	bool is_loopback = tells_any && any == 0 && !from_loopback;
	if (is_loopback)
		return !keep_multicast_if(d, f, if_nametoindex("lo"));
	if (!is_other && !(tells_any && any == 0))
		return false;
	if (from_loopback == EINVAL && keep_multicast_if(d, f, only_other()))
		return false;
	view_block(d, v, "have it set by an address of the interface",
		"%s, which sends to groups by an interface that was set by its number "
		"(IP_MULTICAST_IF); the kernel does not tell which",
		inet_describe(d->s, e));
	return true;
}

/* Not of sockets with an address of their own: whether ::1 is reached from there is another matter.
 */
static bool block_source_if(struct file_dump *d, const struct file_view *v, const InetSkEntry *e)
{
	int chosen = 0;
	socklen_t len = sizeof(chosen);
	struct sockaddr_storage name;
	_cleanup_close_ int usual = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	getsockopt(v->fd, IPPROTO_IPV6, IPV6_UNICAST_IF, &chosen, &len);
	if (e->opts->so_bound_dev || chosen || usual < 0 || !inet_name(e, false, &name) ||
		!inet_is_any(&name))
		return false;
	if (probe6(usual, "::1") != 0 || probe6(v->fd, "::1") != ENETUNREACH)
		return false;
	view_block(d, v, "have it bound to the interface, or unset that",
		"%s, which sends by an interface that was set by IPV6_PKTINFO; the kernel does not "
		"tell which",
		inet_describe(d->s, e));
	return true;
}

static bool block_interfaces(
	struct file_dump *d, const struct file_view *v, const InetSkEntry *e, struct dumped_file *f)
{
	bool is_udp = e->proto == IPPROTO_UDP || e->proto == IPPROTO_UDPLITE;
	if (e->type != SOCK_RAW && !(is_udp && e->src_port))
		return false; /* TCP needs no route any more; ping sockets send no nothing */
	if (e->family == AF_INET)
		return block_multicast_if(d, v, e, f);
	/* raw ones: a port that is not 0 must be their protocol */
	return e->type != SOCK_RAW && block_source_if(d, v, e);
}

/* --- programs that choose among sockets --- */

static bool may_choose(uint32_t id)
{
	struct bpf_prog_info info = {0};
	union bpf_attr by_id = {.prog_id = id};
	_cleanup_close_ int fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &by_id);
	union bpf_attr ask = {.info = {.bpf_fd = (uint32_t)fd,
				      .info_len = sizeof(info),
				      .info = (uint64_t)(uintptr_t)&info}};
	return fd >= 0 && sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &ask) == 0 &&
	       (info.type == BPF_PROG_TYPE_SOCKET_FILTER ||
		       info.type == BPF_PROG_TYPE_SK_REUSEPORT);
}

static uint32_t find_choosing_program(void)
{
	union bpf_attr attr = {.start_id = 0};
	while (sys_bpf(BPF_PROG_GET_NEXT_ID, &attr) == 0) {
		if (may_choose(attr.next_id))
			return attr.next_id;
		attr.start_id = attr.next_id;
	}
	return 0;
}

static void warn_of_choice(struct file_dump *d, const struct file_view *v, const InetSkEntry *e)
{
	struct inet_dump *in = inet_dump_of(d);
	if (in->programs_listed)
		return;
	in->programs_listed = true;
	in->choosing_program = find_choosing_program();
	log_warn(d->s,
		"pid %d %s: %s shares its port (SO_REUSEPORT); should a classic BPF program choose "
		"among its sockets, that is lost",
		v->from.task->vpid, view_label(d, v), inet_describe(d->s, e));
}

static bool block_choice(
	struct file_dump *d, const struct file_view *v, const InetSkEntry *e, struct dumped_file *f)
{
	if (!e->opts->so_reuseport || inet_is_connection(e))
		return false;
	enum reuseport found = reuseport_dump(d, v, e, f);
	if (found == REUSEPORT_UNKNOWN)
		warn_of_choice(d, v, e);
	uint32_t id = found == REUSEPORT_UNKNOWN ? inet_dump_of(d)->choosing_program : 0;
	if (found == REUSEPORT_EBPF)
		view_block(d, v, "detach it (SO_DETACH_REUSEPORT_BPF)",
			"%s shares its port (SO_REUSEPORT), and an eBPF program chooses among its "
			"sockets",
			inet_describe(d->s, e));
	else if (id && e->src_port)
		view_block(d, v, "detach it (SO_DETACH_REUSEPORT_BPF)",
			"%s shares its port (SO_REUSEPORT), and the BPF program %u may choose "
			"among "
			"its sockets",
			inet_describe(d->s, e), id);
	return found == REUSEPORT_EBPF || (id && e->src_port);
}

/* --- others --- */

static int sysctl_int(const char *path)
{
	char text[16] = "";
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	return f && fgets(text, sizeof(text), f) ? atoi(text) : 0;
}

/* MRT_INIT, MRT6_INIT: the routes of the network namespace go with that socket. */
static bool block_routing(struct file_dump *d, const struct file_view *v, const InetSkEntry *e)
{
	bool six = e->family == AF_INET6;
	if (e->type != SOCK_RAW || e->proto != (six ? (uint32_t)IPPROTO_ICMPV6 : IGMP) ||
		!sysctl_int(six ? "/proc/sys/net/ipv6/conf/all/mc_forwarding"
				: "/proc/sys/net/ipv4/conf/all/mc_forwarding"))
		return false;
	view_block(d, v, NULL, "%s, by which multicast is routed here (MRT_INIT)",
		inet_describe(d->s, e));
	return true;
}

/* Of IPv6, which alerts are wanted is not told. */
static bool block_alert(struct file_dump *d, const struct file_view *v, const InetSkEntry *e)
{
	int alert = 0;
	socklen_t len = sizeof(alert);
	if (e->family != AF_INET6 || e->type != SOCK_RAW ||
		getsockopt(v->fd, IPPROTO_IPV6, IPV6_ROUTER_ALERT, &alert, &len) < 0 || !alert)
		return false;
	view_block(d, v, NULL, "%s, which gets packets with a router alert (IPV6_ROUTER_ALERT)",
		inet_describe(d->s, e));
	return true;
}

/* Kernel modules take sockets for their tunnels; IPsec needs nothing but the option. */
static bool block_tunnel(struct file_dump *d, const struct file_view *v, const InetSkEntry *e)
{
	int kind = 0;
	socklen_t len = sizeof(kind);
	if (e->proto != IPPROTO_UDP || getsockopt(v->fd, IPPROTO_UDP, UDP_ENCAP, &kind, &len) < 0 ||
		!kind || kind == UDP_ENCAP_ESPINUDP)
		return false;
	view_block(d, v, "take the tunnel down", "%s, which carries a tunnel (UDP_ENCAP %d)",
		inet_describe(d->s, e), kind);
	return true;
}

/* Asked with no room, it is not taken away. */
static bool block_saved_syn(struct file_dump *d, const struct file_view *v, const InetSkEntry *e)
{
	char none;
	socklen_t len = 0;
	if (!inet_is_connection(e) ||
		getsockopt(v->fd, IPPROTO_TCP, TCP_SAVED_SYN, &none, &len) == 0 ||
		errno != EINVAL || !len)
		return false;
	view_block(d, v, "have it read TCP_SAVED_SYN",
		"%s, which keeps the first packet of its peer (TCP_SAVE_SYN)",
		inet_describe(d->s, e));
	return true;
}

bool inet_hidden_block(
	struct file_dump *d, const struct file_view *v, const InetSkEntry *e, struct dumped_file *f)
{
	return block_interfaces(d, v, e, f) || block_choice(d, v, e, f) || block_routing(d, v, e) ||
	       block_alert(d, v, e) || block_tunnel(d, v, e) || block_saved_syn(d, v, e);
}
