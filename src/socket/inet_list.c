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
};

static int add_diag(void *arg, const void *message, size_t len)
{
	const struct listing *l = arg;
	const struct inet_diag_msg *m = message;
	size_t n;
	if (len < sizeof(*m))
		return -EBADMSG;
	if (!m->idiag_inode)
		return 0;
	struct inet_listed *s = arena_new(&l->d->s->arena, struct inet_listed);
	s->shutdown = sock_diag_u8(message, len, sizeof(*m), INET_DIAG_SHUTDOWN, 0);
	s->rqueue = m->idiag_rqueue;
	s->md5 = sock_diag_attr(message, len, sizeof(*m), INET_DIAG_MD5SIG, &n) != NULL;
	s->ulp = sock_diag_attr(message, len, sizeof(*m), INET_DIAG_ULP_INFO, &n) != NULL;
	id_map_put(&l->d->s->arena, &l->in->listed, m->idiag_inode, s);
	return 0;
}

static void read_diag(struct listing *l, int family, int protocol)
{
	struct inet_diag_req_v2 req = {.sdiag_family = (uint8_t)family,
		.sdiag_protocol = (uint8_t)protocol,
		.idiag_states = ~0u};
	int r = sock_diag_list(l->d->s, &req, sizeof(req), add_diag, l);
	if (r < 0)
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
