#include "socket/inet_empty.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <string.h>

enum member { READER_QUEUE, HEAD, NETWORK_HEADER, TRANSPORT_HEADER, PROTOCOL, N_MEMBERS };

static const struct kernel_member members[N_MEMBERS] = {
	[READER_QUEUE] = {"udp_sock", "reader_queue"},
	[HEAD] = {"sk_buff", "head"},
	[NETWORK_HEADER] = {"sk_buff", "network_header"},
	[TRANSPORT_HEADER] = {"sk_buff", "transport_header"},
	[PROTOCOL] = {"sk_buff", "protocol"},
};

/* Whoever reads takes all to a queue of its own first. */
void inet_empties_list(struct file_dump *d, int fd, struct inet_empties *ret)
{
	struct sock_memory *m = sock_memory_get(d);
	*ret = (struct inet_empties){0};
	uint64_t sock = m ? sock_find(m, fd) : 0;
	if (sock &&
		kernel_members_find(sock_memory_kernel(m), members, N_MEMBERS, ret->offset) >= 0 &&
		sock_queue_at(m, sock + ret->offset[READER_QUEUE], &ret->all) &&
		sock_queue(m, sock, &ret->all))
		ret->sockets = m;
	else
		ret->all.n = 0;
}

static void store(struct arena *a, ProtobufCBinaryData *ret, const void *address, size_t len)
{
	ret->len = len;
	ret->data = arena_memdup(a, address, len);
}

static uint64_t header(struct inet_empties *x, uint64_t message, enum member which)
{
	struct kernel_memory *k = sock_memory_kernel(x->sockets);
	return kernel_pointer(k, message + x->offset[HEAD]) +
	       (uint16_t)kernel_number(k, message + x->offset[which]);
}

static bool read_headers(
	struct arena *a, struct inet_empties *x, uint64_t message, FermataDatagram *ret)
{
	struct kernel_memory *k = sock_memory_kernel(x->sockets);
	uint64_t network = header(x, message, NETWORK_HEADER);
	struct iphdr four;
	struct ipv6hdr six;
	struct udphdr udp;
	kernel_bytes(k, header(x, message, TRANSPORT_HEADER), &udp, sizeof(udp));
	ret->source_port = ntohs(udp.source);
	ret->has_dest = true;
	if (ntohs((uint16_t)kernel_number(k, message + x->offset[PROTOCOL])) == ETH_P_IPV6) {
		kernel_bytes(k, network, &six, sizeof(six));
		ret->ttl = six.hop_limit;
		ret->tos = (uint32_t)six.priority << 4 | six.flow_lbl[0] >> 4;
		store(a, &ret->source, &six.saddr, sizeof(six.saddr));
		store(a, &ret->dest, &six.daddr, sizeof(six.daddr));
	} else {
		kernel_bytes(k, network, &four, sizeof(four));
		ret->ttl = four.ttl;
		ret->tos = four.tos;
		store(a, &ret->source, &four.saddr, sizeof(four.saddr));
		store(a, &ret->dest, &four.daddr, sizeof(four.daddr));
	}
	return !kernel_failed(k);
}

bool inet_empties_take(struct arena *a, struct inet_empties *x, FermataDatagram *ret)
{
	fermata_datagram__init(ret);
	if (!x->sockets || x->next == x->all.n || x->all.v[x->next].len)
		return false;
	return read_headers(a, x, x->all.v[x->next++].at, ret);
}

bool inet_empties_pass(struct inet_empties *x, size_t len)
{
	return x->next == x->all.n || x->all.v[x->next++].len == len;
}
