/*
 * Raw and ping sockets: IPv4 and IPv6, bound, connected, with ICMP filters, header included; the
 * identifier of a ping socket.
 * PROVES: F172
 */
#include <linux/icmp.h>
#include <linux/icmpv6.h>

#include "inet.h"

static int raw, raw6, header, ping;

/* Sends an echo request and waits for its reply, which the kernel makes. */
static void echo(int fd)
{
	struct icmphdr request = {.type = ICMP_ECHO}, reply;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	NEED(send(fd, &request, sizeof(request), 0) == sizeof(request));
	NEED(poll(&p, 1, 5000) == 1);
	NEED(recv(fd, &reply, sizeof(reply), 0) == sizeof(reply));
	SAME(reply.type, ICMP_ECHOREPLY);
}

int main(int argc, char **argv)
{
	struct icmp_filter filter = {~(1u << ICMP_DEST_UNREACH)};
	struct icmp6_filter filter6;
	struct sockaddr_storage name;
	socklen_t len;
	int id = 0;

	setup(argc, argv);
	memset(&filter6, 0x5a, sizeof(filter6));
	len = name_at(0, 0, &name);
	raw = bound_socket(0, SOCK_RAW, IPPROTO_ICMP, 0, false);
	NEED(!setsockopt(raw, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)));
	NEED(!connect(raw, (struct sockaddr *)&name, len));
	header = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	set_opt(header, IPPROTO_IP, IP_HDRINCL, 1);
	set_opt(header, IPPROTO_IP, IP_TTL, 33);
	raw6 = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	NEED(raw >= 0 && raw6 >= 0 && header >= 0);
	NEED(!setsockopt(raw6, IPPROTO_ICMPV6, ICMPV6_FILTER, &filter6, sizeof(filter6)));
	set_opt(raw6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	ping = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	if (ping >= 0) {
		NEED(!connect(ping, (struct sockaddr *)&name, len));
		echo(ping);
		id = port_of(ping);
	}
	park();
	struct icmp_filter now = {0};
	struct icmp6_filter now6;
	len = sizeof(now);
	NEED(!getsockopt(raw, SOL_RAW, ICMP_FILTER, &now, &len) && now.data == filter.data);
	len = sizeof(now6);
	NEED(!getsockopt(raw6, IPPROTO_ICMPV6, ICMPV6_FILTER, &now6, &len));
	NEED(!memcmp(&now6, &filter6, sizeof(now6)));
	SAME(get_opt(raw6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT), 1);
	SAME(get_opt(raw6, SOL_SOCKET, SO_PROTOCOL), IPPROTO_ICMPV6);
	SAME(get_opt(header, IPPROTO_IP, IP_HDRINCL), 1);
	SAME(get_opt(header, IPPROTO_IP, IP_TTL), 33);
	struct icmphdr request = {.type = ICMP_ECHO};
	NEED(send(raw, &request, sizeof(request), 0) == sizeof(request)); /* still connected */
	if (ping >= 0) {
		SAME(port_of(ping), id);
		echo(ping);
	}
	ok();
}
