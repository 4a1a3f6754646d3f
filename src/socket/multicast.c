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
#include <net/if.h>
#include <stdio.h>
#include <string.h>


struct member {
	struct file_dump *d;
	struct dumped_file *f;
	int fd, level;
};

/* Of an interface; some socket or the kernel itself is in it. */
struct multicast_group {
	uint32_t interface;
	struct sockaddr_storage address;
};

/* The filter with room for n sources; NULL: no member. gf_numsrc is what there are. */
static struct group_filter *read_filter(
	const struct member *m, const struct multicast_group *group, uint32_t n)
{
	struct group_filter *filter = arena_alloc(&m->d->s->arena, GROUP_FILTER_SIZE(n));
	socklen_t len = GROUP_FILTER_SIZE(n);
	filter->gf_interface = group->interface;
	filter->gf_group = group->address;
	filter->gf_numsrc = n;
	if (getsockopt(m->fd, m->level, MCAST_MSFILTER, filter, &len) < 0)
		return NULL;
	filter->gf_interface = group->interface;
	filter->gf_group = group->address;
	return filter;
}

/* Most sockets are members of nothing: that is asked without room for sources. */
static void ask(const struct member *m, const struct multicast_group *group)
{
	struct group_filter head = {
		.gf_interface = group->interface, .gf_group = group->address};
	socklen_t len = GROUP_FILTER_SIZE(0);
	if (getsockopt(m->fd, m->level, MCAST_MSFILTER, &head, &len) < 0)
		return;
	struct group_req join = {.gr_interface = group->interface, .gr_group = group->address};
	sk_option_keep(m->d, m->f, m->level, MCAST_JOIN_GROUP, &join, sizeof(join));
	if (head.gf_fmode == MCAST_EXCLUDE && !head.gf_numsrc)
		return;
	const struct group_filter *filter = read_filter(m, group, head.gf_numsrc);
	if (filter)
		sk_option_keep(m->d, m->f, m->level, MCAST_MSFILTER, filter,
			GROUP_FILTER_SIZE(filter->gf_numsrc));
}

/* "IDX DEVICE : ..." and below, indented, "GROUP users timer reporter" for each */
static void list_igmp(struct file_dump *d, struct inet_dump *in)
{
	char line[256];
	unsigned interface = 0, group;
	_cleanup_fclose_ FILE *file = fopen("/proc/self/net/igmp", "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (line[0] != '\t') {
			sscanf(line, "%u", &interface);
			continue;
		}
		struct multicast_group g = {interface, {.ss_family = AF_INET}};
		if (sscanf(line, " %8x", &group) != 1)
			continue;
		((struct sockaddr_in *)&g.address)->sin_addr.s_addr = group;
		*vec_push(&d->s->arena, &in->groups) =
			arena_memdup(&d->s->arena, &g, sizeof(g));
	}
}

/* "IDX DEVICE GROUP users flags timer" */
static void list_igmp6(struct file_dump *d, struct inet_dump *in)
{
	char line[256], group[33];
	_cleanup_fclose_ FILE *file = fopen("/proc/self/net/igmp6", "re");
	while (file && fgets(line, sizeof(line), file)) {
		struct multicast_group g = {0, {.ss_family = AF_INET6}};
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&g.address;
		if (sscanf(line, "%u %*s %32s", &g.interface, group) != 2 || strlen(group) != 32)
			continue;
		for (int i = 0; i < 16; i++)
			sscanf(group + 2 * i, "%2hhx", &in6->sin6_addr.s6_addr[i]);
		*vec_push(&d->s->arena, &in->groups) =
			arena_memdup(&d->s->arena, &g, sizeof(g));
	}
}

/* A socket of IPv6 may be in groups of IPv4 as well. */
void multicast_dump(struct file_dump *d, int fd, const InetSkEntry *e, struct dumped_file *f)
{
	struct inet_dump *in = inet_dump_of(d);
	if (!in->groups_listed) {
		in->groups_listed = true;
		list_igmp(d, in);
		list_igmp6(d, in);
	}
	vec_for_each (&in->groups, g) {
		bool six = (*g)->address.ss_family == AF_INET6;
		struct member m = {d, f, fd, six ? IPPROTO_IPV6 : IPPROTO_IP};
		if (e->family == AF_INET6 ? six || (!e->v6only && e->type != SOCK_RAW) : !six)
			ask(&m, *g);
	}
}

/* --- restore --- */

static int check_join(struct file_set *f, const struct open_file *o, const struct group_req *join)
{
	char name[IF_NAMESIZE], group[INET6_ADDRSTRLEN] = "?";
	const struct sockaddr_storage *a = &join->gr_group;
	if (!join->gr_interface || if_indextoname(join->gr_interface, name) ||
		tun_comes_as(f, NULL, join->gr_interface))
		return 0;
	if (a->ss_family == AF_INET)
		inet_ntop(
			AF_INET, &((const struct sockaddr_in *)a)->sin_addr, group, sizeof(group));
	else if (a->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, group,
			sizeof(group));
	return fail_remedy(f->s, ENODEV, "make an interface with this number",
		"%s: the socket %s is a member of the group %s on interface %u, which is not here",
		open_file_label(f, o), inet_label(f->s, o->e->isk, false), group,
		join->gr_interface);
}

int multicast_check(struct file_set *f, const struct open_file *o)
{
	for (size_t i = 0; o->extra && i < o->extra->n_socket_options; i++) {
		const FermataSocketOption *x = o->extra->socket_options[i];
		struct group_req join;
		if ((x->level != IPPROTO_IP && x->level != IPPROTO_IPV6) ||
			x->option != MCAST_JOIN_GROUP || x->value.len != sizeof(join))
			continue;
		memcpy(&join, x->value.data, sizeof(join));
		int r = check_join(f, o, &join);
		if (r < 0)
			return r;
	}
	return 0;
}
