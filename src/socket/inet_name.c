/* Addresses of inet sockets: words of the image, in network order as in memory; ports as numbers.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#include "socket/inet.h"

bool inet_is_tcp(const InetSkEntry *e)
{
	return e->type == SOCK_STREAM && (!e->proto || e->proto == IPPROTO_TCP);
}

bool inet_is_connection(const InetSkEntry *e)
{
	return inet_is_tcp(e) && e->state != INET_LISTEN && e->dst_port;
}

bool inet_is_any(const struct sockaddr_storage *name)
{
	if (name->ss_family == AF_INET)
		return ((const struct sockaddr_in *)name)->sin_addr.s_addr == INADDR_ANY;
	return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)name)->sin6_addr);
}

/* Addresses that mean nothing without an interface. */
static bool is_scoped(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_MC_LINKLOCAL(a) ||
	       IN6_IS_ADDR_MC_NODELOCAL(a);
}

bool inet_is_scoped(const InetSkEntry *e)
{
	struct in6_addr own;
	if (e->family != AF_INET6 || e->n_src_addr * sizeof(*e->src_addr) != sizeof(own))
		return false;
	memcpy(&own, e->src_addr, sizeof(own));
	return is_scoped(&own);
}

bool inet_has_peer(const InetSkEntry *e)
{
	for (size_t i = 0; i < e->n_dst_addr; i++)
		if (e->dst_addr[i])
			return true;
	return e->dst_port;
}

socklen_t inet_name(const InetSkEntry *e, bool remote, struct sockaddr_storage *ret)
{
	const uint32_t *words = remote ? e->dst_addr : e->src_addr;
	size_t n = remote ? e->n_dst_addr : e->n_src_addr;
	uint32_t port = remote ? e->dst_port : e->src_port;
	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)e->family;
	if (port > UINT16_MAX)
		return 0;
	if (e->family == AF_INET && n >= 1 && n <= 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;
		in->sin_port = htons((uint16_t)port);
		in->sin_addr.s_addr = words[0];
		return sizeof(*in);
	}
	if (e->family == AF_INET6 && n == 4) {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)ret;
		in->sin6_port = htons((uint16_t)port);
		memcpy(&in->sin6_addr, words, sizeof(in->sin6_addr));
		if (e->ifname && is_scoped(&in->sin6_addr))
			in->sin6_scope_id = if_nametoindex(e->ifname);
		return sizeof(*in);
	}
	return 0;
}

void inet_store_name(
	struct session *s, InetSkEntry *e, bool remote, const struct sockaddr_storage *name)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)name;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)name;
	bool six = e->family == AF_INET6;
	size_t n = six ? 4 : 1;
	uint32_t *words = arena_array(&s->arena, uint32_t, n);
	uint32_t port = 0;
	if (name->ss_family == e->family) {
		memcpy(words, six ? (const void *)&in6->sin6_addr : &in->sin_addr, n * 4);
		port = ntohs(in->sin_port); /* at the same place in both */
	}
	*(remote ? &e->dst_addr : &e->src_addr) = words;
	*(remote ? &e->n_dst_addr : &e->n_src_addr) = n;
	*(remote ? &e->dst_port : &e->src_port) = port;
}

const char *inet_label(struct session *s, const InetSkEntry *e, bool remote)
{
	struct sockaddr_storage name;
	char text[INET6_ADDRSTRLEN] = "?";
	if (!inet_name(e, remote, &name))
		return "?";
	bool six = e->family == AF_INET6;
	inet_ntop((int)e->family,
		six ? (void *)&((struct sockaddr_in6 *)&name)->sin6_addr
		    : (void *)&((struct sockaddr_in *)&name)->sin_addr,
		text, sizeof(text));
	return arena_printf(
		&s->arena, six ? "[%s]:%u" : "%s:%u", text, remote ? e->dst_port : e->src_port);
}

const char *inet_describe(struct session *s, const InetSkEntry *e)
{
	const char *name = e->type == SOCK_RAW		 ? "raw"
			   : inet_is_tcp(e)		 ? "TCP"
			   : e->proto == IPPROTO_UDP	 ? "UDP"
			   : e->proto == IPPROTO_UDPLITE ? "UDP-Lite"
							 : "ICMP";
	const char *local = inet_label(s, e, false);
	return e->dst_port ? arena_printf(&s->arena, "%s socket %s -> %s", name, local,
				     inet_label(s, e, true))
			   : arena_printf(&s->arena, "%s socket %s", name, local);
}
