/*
 * Multicast memberships (ip(7), ipv6(7)), with their source filters.
 *
 * The kernel has no list of the groups a socket is in, but it tells the filter of a group to
 * members (MCAST_MSFILTER) and EADDRNOTAVAIL to others; and /proc/net/igmp and igmp6 list the
 * groups of each interface.  So each of these is asked for.  Kept as the calls that join again:
 * MCAST_JOIN_GROUP, and MCAST_MSFILTER where the filter is not "all sources".  Interfaces are
 * kept by number, as the image does with those of packet sockets.
 */
#include "socket/multicast.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { SOURCES_MAX = 64 };

struct member {
	struct file_dump *d;
	struct dumped_file *f;
	int fd, level;
};

union filter {
	struct group_filter head;
	char room[GROUP_FILTER_SIZE(SOURCES_MAX)];
};

static void ask(const struct member *m, uint32_t interface, const struct sockaddr_storage *group)
{
	union filter filter = {
		.head = {.gf_interface = interface, .gf_group = *group, .gf_numsrc = SOURCES_MAX}};
	socklen_t len = sizeof(filter);
	if (getsockopt(m->fd, m->level, MCAST_MSFILTER, &filter, &len) < 0)
		return;
	struct group_req join = {.gr_interface = interface, .gr_group = *group};
	sk_option_keep(m->d, m->f, m->level, MCAST_JOIN_GROUP, &join, sizeof(join));
	if (filter.head.gf_fmode == MCAST_EXCLUDE && !filter.head.gf_numsrc)
		return;
	filter.head.gf_interface = interface;
	filter.head.gf_group = *group;
	uint32_t n = filter.head.gf_numsrc < SOURCES_MAX ? filter.head.gf_numsrc : SOURCES_MAX;
	filter.head.gf_numsrc = n;
	sk_option_keep(m->d, m->f, m->level, MCAST_MSFILTER, &filter, GROUP_FILTER_SIZE(n));
}

/* "IDX DEVICE : ..." and below, indented, "GROUP users timer reporter" for each */
static void ask_igmp(const struct member *m)
{
	char line[256];
	unsigned interface = 0, group;
	_cleanup_fclose_ FILE *file = fopen("/proc/self/net/igmp", "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (line[0] != '\t') {
			sscanf(line, "%u", &interface);
			continue;
		}
		struct sockaddr_storage name = {.ss_family = AF_INET};
		if (sscanf(line, " %8x", &group) != 1)
			continue;
		((struct sockaddr_in *)&name)->sin_addr.s_addr = group;
		ask(m, interface, &name);
	}
}

/* "IDX DEVICE GROUP users flags timer" */
static void ask_igmp6(const struct member *m)
{
	char line[256], group[33];
	unsigned interface;
	_cleanup_fclose_ FILE *file = fopen("/proc/self/net/igmp6", "re");
	while (file && fgets(line, sizeof(line), file)) {
		struct sockaddr_storage name = {.ss_family = AF_INET6};
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&name;
		if (sscanf(line, "%u %*s %32s", &interface, group) != 2 || strlen(group) != 32)
			continue;
		for (int i = 0; i < 16; i++)
			sscanf(group + 2 * i, "%2hhx", &in6->sin6_addr.s6_addr[i]);
		ask(m, interface, &name);
	}
}

void multicast_dump(struct file_dump *d, int fd, const InetSkEntry *e, struct dumped_file *f)
{
	struct member m = {.d = d, .f = f, .fd = fd, .level = IPPROTO_IP};
	if (e->family == AF_INET) {
		ask_igmp(&m);
		return;
	}
	m.level = IPPROTO_IPV6;
	ask_igmp6(&m);
}
