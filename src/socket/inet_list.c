/*
 * What the kernel tells of inet sockets only in lists: sock_diag(7), and /proc/net for raw and ping
 * sockets, whose diag module is missing on many kernels and does not exist.
 *
 * Each list is read when the first socket of its kind is met.  A kernel without a list costs what
 * only that list tells: how a socket was shut down beyond what poll(2) shows, and keys.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "kernel/sock_diag.h"
#include "socket/inet.h"

struct listing {
	struct file_dump *d;
	struct inet_dump *in;
	uint8_t protocol;
};

static void add_head(struct inet_listed *s, const struct inet_diag_msg *m)
{
	s->cookie = m->id.idiag_cookie[0] | (uint64_t)m->id.idiag_cookie[1] << 32;
	s->state = m->idiag_state;
	s->port = ntohs(m->id.idiag_sport);
	s->peer_port = ntohs(m->id.idiag_dport);
	memcpy(s->name, m->id.idiag_src, sizeof(s->name));
	memcpy(s->peer_name, m->id.idiag_dst, sizeof(s->peer_name));
	s->interface = m->id.idiag_if;
	s->rqueue = m->idiag_rqueue;
}

static int add_diag(void *arg, const void *message, size_t len)
{
	const struct listing *l = arg;
	const struct inet_diag_msg *m = message;
	struct sock_diag_item item;
	if (len < sizeof(*m))
		return -EBADMSG;
	if (!m->idiag_inode)
		return 0;
	struct inet_listed *s = arena_new(&l->d->s->arena, struct inet_listed);
	add_head(s, m);
	s->protocol = l->protocol;
	struct sock_diag_walk walk = sock_diag_begin(message, len, sizeof(*m));
	while (sock_diag_next(&walk, &item)) {
		if (item.type == INET_DIAG_SHUTDOWN && item.len)
			s->shutdown = *(const uint8_t *)item.value;
		s->md5 |= item.type == INET_DIAG_MD5SIG;
		s->ulp |= item.type == INET_DIAG_ULP_INFO;
		inet_told_add(s, &item);
	}
	id_map_put(&l->d->s->arena, &l->in->listed, m->idiag_inode, s);
	return 0;
}

static void read_diag(struct listing *l, int family, int protocol)
{
	/* keys and protocols on top are told with INET_DIAG_INFO only */
	static const int wanted[] = {INET_DIAG_INFO, INET_DIAG_CONG, INET_DIAG_TOS,
		INET_DIAG_TCLASS, INET_DIAG_SKMEMINFO};
	struct inet_diag_req_v2 req = {.sdiag_family = (uint8_t)family,
		.sdiag_protocol = (uint8_t)protocol,
		.idiag_states = ~0u};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		req.idiag_ext |= (uint8_t)(1 << (wanted[i] - 1));
	l->protocol = (uint8_t)protocol;
	int r = sock_diag_list(l->d->s, &req, sizeof(req), add_diag, l);
	if (r < 0 && r != -ENOENT)
		l->in->list_error = r;
	else if (r < 0)
		log_info(l->d->s, "no list of sockets of family %d protocol %d: %s", family,
			protocol, strerror(-r));
}

/* "  sl  local_address rem_address st tx:rx tr:when retr uid timeout inode ..." */
static void add_line(struct listing *l, const char *line)
{
	char remote[33];
	unsigned long long ino;
	struct inet_listed *s = arena_new(&l->d->s->arena, struct inet_listed);
	if (sscanf(line, " %*d: %*s %32[0-9A-F]:%*x %*x %*x:%*x %*x:%*x %*x %*u %*u %llu", remote,
		    &ino) != 2 ||
		!ino)
		return;
	size_t words = strlen(remote) / 8;
	for (size_t i = 0; i < words && i < 4; i++)
		sscanf(remote + i * 8, "%8x", &s->remote[i]);
	id_map_put(&l->d->s->arena, &l->in->listed, ino, s);
}

static void read_proc(struct listing *l, const char *path)
{
	char line[512];
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		add_line(l, line);
}

static const struct {
	int family, protocol, type; /* 0: any */
	const char *path;
} lists[] = {
	{AF_INET, 0, SOCK_RAW, "/proc/self/net/raw"},
	{AF_INET6, 0, SOCK_RAW, "/proc/self/net/raw6"},
	{AF_INET, IPPROTO_ICMP, SOCK_DGRAM, "/proc/self/net/icmp"},
	{AF_INET6, IPPROTO_ICMPV6, SOCK_DGRAM, "/proc/self/net/icmp6"},
	{AF_INET, IPPROTO_TCP, 0, NULL},
	{AF_INET6, IPPROTO_TCP, 0, NULL},
	{AF_INET, IPPROTO_UDP, 0, NULL},
	{AF_INET6, IPPROTO_UDP, 0, NULL},
	{AF_INET, IPPROTO_UDPLITE, 0, NULL},
	{AF_INET6, IPPROTO_UDPLITE, 0, NULL},
};

const struct inet_listed *inet_listed_already(struct file_dump *d, uint64_t ino)
{
	return id_map_get(&inet_dump_of(d)->listed, ino);
}

const struct inet_listed *inet_listed(
	struct file_dump *d, int family, int protocol, int type, uint64_t ino)
{
	struct listing l = {.d = d, .in = inet_dump_of(d)};
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		if (lists[i].family != family ||
			(lists[i].protocol && lists[i].protocol != protocol) ||
			(lists[i].type && lists[i].type != type))
			continue;
		if (l.in->asked & 1u << i)
			break;
		l.in->asked |= 1u << i;
		if (lists[i].path)
			read_proc(&l, lists[i].path);
		else
			read_diag(&l, family, protocol);
		break;
	}
	return id_map_get(&l.in->listed, ino);
}
