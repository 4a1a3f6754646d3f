/*
 * What the machine knows of a tun device: offloads, sysctls, addresses, neighbours, routes.
 *
 * Addresses and the like are kept as rtnetlink told them, without what only an answer has. Of
 * sysctls stable_secret comes first: from it the kernel makes the same link-local address again.
 *
 * Of an IPv6 address the kernel asks for a second whether somebody else has it, and lets no socket
 * have it meanwhile.  These were asked for before the dump, so that is turned off (accept_dad)
 * until they are there; a worker of the kernel does even that a moment later, which is waited for.
 */
#include "file/tun_settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/rtnetlink.h"
#include "kernel/sock_diag.h"

#ifndef TUN_F_USO4 /* 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum {
	FEATURES_MAX = 256,
	VALUE_MAX = 256,
	TENTATIVE_MAX_MS = 3000 /* where accept_dad of all interfaces asks anyway */
};

/* --- offloads, which no ioctl of the driver tells --- */

static const struct {
	const char *feature;
	uint32_t offload;
} offloads[] = {
	{"tx-checksum-ip-generic", TUN_F_CSUM},
	{"tx-tcp-segmentation", TUN_F_TSO4},
	{"tx-tcp6-segmentation", TUN_F_TSO6},
	{"tx-tcp-ecn-segmentation", TUN_F_TSO_ECN},
	{"tx-udp-segmentation", TUN_F_USO4 | TUN_F_USO6},
};

static int ethtool(int fd, const char *name, void *command)
{
	struct ifreq ifr = {.ifr_data = command};
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, SIOCETHTOOL, &ifr);
}

uint32_t tun_offload(const char *name)
{
	union {
		struct ethtool_gstrings head;
		char room[sizeof(struct ethtool_gstrings) + FEATURES_MAX * ETH_GSTRING_LEN];
	} names = {.head = {.cmd = ETHTOOL_GSTRINGS,
			   .string_set = ETH_SS_FEATURES,
			   .len = FEATURES_MAX}};
	union {
		struct ethtool_gfeatures head;
		char room[sizeof(struct ethtool_gfeatures) +
			  FEATURES_MAX / 32 * sizeof(struct ethtool_get_features_block)];
	} now = {.head = {.cmd = ETHTOOL_GFEATURES, .size = FEATURES_MAX / 32}};
	uint32_t on = 0;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ethtool(fd, name, &names) < 0 || ethtool(fd, name, &now) < 0)
		return 0;
	for (uint32_t i = 0; i < names.head.len && i < FEATURES_MAX; i++)
		for (size_t k = 0; k < sizeof(offloads) / sizeof(*offloads); k++)
			if (strncmp((char *)names.head.data + i * ETH_GSTRING_LEN,
				    offloads[k].feature, ETH_GSTRING_LEN) == 0 &&
				now.head.features[i / 32].active & UINT32_C(1) << i % 32)
				on |= offloads[k].offload;
	return on;
}

/* --- sysctls: "ipv4/conf/rp_filter=1" --- */

static const char *const sysctl_dirs[] = {"ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"};

static int open_sysctl(const char *dir, const char *name, const char *key, int flags)
{
	char path[512];
	snprintf(path, sizeof(path), "/proc/sys/net/%s/%s/%s", dir, name, key);
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The value without its newline; false: cannot be read, as a secret that is not set */
static bool read_sysctl(
	const char *dir, const char *name, const char *key, char value[static VALUE_MAX])
{
	_cleanup_close_ int fd = open_sysctl(dir, name, key, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, value, VALUE_MAX - 1);
	value[n < 0 ? 0 : n] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return n >= 0;
}

typedef VEC(char *) texts;

/* No directory: the kernel has no such protocol. */
static int read_sysctls(struct arena *a, const char *dir, const char *name, texts *ret)
{
	char path[512], value[VALUE_MAX];
	snprintf(path, sizeof(path), "/proc/sys/net/%s/%s", dir, name);
	_cleanup_dir_ DIR *d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	int err = 0;
	for (struct dirent *e; (e = next_entry(d, &err));)
		if (e->d_name[0] != '.' && read_sysctl(dir, name, e->d_name, value))
			*vec_push(a, ret) = arena_printf(a, "%s/%s=%s", dir, e->d_name, value);
	return err;
}

/* Which of the directories; the rest of the text is key and value. */
static const char *split(const char *sysctl, char key[static VALUE_MAX], const char **ret_value)
{
	for (size_t i = 0; i < sizeof(sysctl_dirs) / sizeof(*sysctl_dirs); i++) {
		size_t len = strlen(sysctl_dirs[i]);
		const char *rest = sysctl + len + 1, *end;
		if (strncmp(sysctl, sysctl_dirs[i], len) != 0 || sysctl[len] != '/')
			continue;
		end = strchr(rest, '=');
		if (!end || memchr(rest, '/', (size_t)(end - rest)) || end - rest >= VALUE_MAX)
			return NULL;
		snprintf(key, VALUE_MAX, "%.*s", (int)(end - rest), rest);
		*ret_value = end + 1;
		return sysctl_dirs[i];
	}
	return NULL;
}

/* Only what differs: to write some of them is to do something. */
static int set_sysctl(const char *sysctl, const char *name)
{
	char key[VALUE_MAX], now[VALUE_MAX];
	const char *value, *dir = split(sysctl, key, &value);
	if (!dir)
		return -EBADMSG;
	if (read_sysctl(dir, name, key, now) && strcmp(now, value) == 0)
		return 0;
	_cleanup_close_ int fd = open_sysctl(dir, name, key, O_WRONLY);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd; /* another kernel */
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int tun_settings_restore(const FermataTun *t, const char *name)
{
	int r = 0;
	for (int turn = 0; turn < 2; turn++)
		for (size_t i = 0; i < t->n_sysctls && r >= 0; i++)
			if ((strstr(t->sysctls[i], "/stable_secret=") != NULL) != turn)
				r = set_sysctl(t->sysctls[i], name);
	return r;
}

/* --- addresses, neighbours, routes --- */

struct messages {
	struct arena *a;
	uint32_t index;
	VEC(ProtobufCBinaryData) all;
	bool has_qdisc;
};

static uint8_t *keep(struct messages *m, const struct nlmsghdr *h)
{
	ProtobufCBinaryData *d = vec_push(m->a, &m->all);
	d->len = h->nlmsg_len;
	d->data = arena_memdup(m->a, h, h->nlmsg_len);
	return (uint8_t *)NLMSG_DATA((struct nlmsghdr *)d->data);
}

static int take_address(void *arg, const struct nlmsghdr *h)
{
	struct messages *m = arg;
	const struct ifaddrmsg *x = NLMSG_DATA(h);
	if (h->nlmsg_type == RTM_NEWADDR && x->ifa_index == m->index &&
		!(x->ifa_family == AF_INET6 && x->ifa_flags & IFA_F_TEMPORARY))
		keep(m, h);
	return 0;
}

static int take_neighbour(void *arg, const struct nlmsghdr *h)
{
	struct messages *m = arg;
	const struct ndmsg *x = NLMSG_DATA(h);
	if (h->nlmsg_type == RTM_NEWNEIGH && (uint32_t)x->ndm_ifindex == m->index &&
		x->ndm_state & NUD_PERMANENT && x->ndm_type != RTN_MULTICAST &&
		x->ndm_type != RTN_BROADCAST)
		keep(m, h);
	return 0;
}

/* One of several next hops counts, too. */
static bool leads_there(const struct nlmsghdr *h, uint32_t index)
{
	const struct rtmsg *x = NLMSG_DATA(h);
	const size_t head = sizeof(*x), len = h->nlmsg_len - NLMSG_HDRLEN;
	size_t n;
	if (sock_diag_u32(x, len, head, RTA_OIF, 0) == index)
		return true;
	const struct rtnexthop *hop = sock_diag_attr(x, len, head, RTA_MULTIPATH, &n);
	for (; hop && n >= sizeof(*hop) && RTNH_OK(hop, (int)n);
		n -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
		if ((uint32_t)hop->rtnh_ifindex == index)
			return true;
	return false;
}

static int take_route(void *arg, const struct nlmsghdr *h)
{
	struct messages *m = arg;
	const struct rtmsg *x = NLMSG_DATA(h);
	if (h->nlmsg_type != RTM_NEWROUTE || x->rtm_protocol == RTPROT_KERNEL ||
		x->rtm_protocol == RTPROT_RA || x->rtm_flags & RTM_F_CLONED ||
		!leads_there(h, m->index))
		return 0;
	/* what else is there only tells of its state */
	((struct rtmsg *)keep(m, h))->rtm_flags &= RTNH_F_ONLINK | RTNH_F_PERVASIVE;
	return 0;
}

static int take_qdisc(void *arg, const struct nlmsghdr *h)
{
	struct messages *m = arg;
	const struct tcmsg *x = NLMSG_DATA(h);
	if (h->nlmsg_type == RTM_NEWQDISC && (uint32_t)x->tcm_ifindex == m->index && x->tcm_handle)
		m->has_qdisc = true;
	return 0;
}

static int list(unsigned type, int family, rtnl_fn *fn, struct messages *m)
{
	/* all heads begin with the family, and zeros ask for everything */
	char head[sizeof(struct tcmsg)] = {(char)family};
	size_t len = type == RTM_GETADDR    ? sizeof(struct ifaddrmsg)
		     : type == RTM_GETNEIGH ? sizeof(struct ndmsg)
		     : type == RTM_GETROUTE ? sizeof(struct rtmsg)
					    : sizeof(struct tcmsg);
	struct rtnl_request r;
	rtnl_begin(&r, type, NLM_F_DUMP, head, len);
	return rtnl_ask(&r, fn, m);
}

bool tun_has_qdisc(uint32_t index)
{
	struct messages m = {.index = index};
	list(RTM_GETQDISC, AF_UNSPEC, take_qdisc, &m);
	return m.has_qdisc;
}

int tun_settings_dump(struct arena *a, FermataTun *t, const char *name)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct messages m = {.a = a, .index = t->index};
	texts sysctls = {0};
	int r = list(RTM_GETADDR, AF_UNSPEC, take_address, &m);
	if (r >= 0)
		r = list(RTM_GETNEIGH, AF_UNSPEC, take_neighbour, &m);
	for (size_t i = 0; i < 2 && r >= 0; i++)
		r = list(RTM_GETROUTE, families[i], take_route, &m);
	for (size_t i = 0; i < sizeof(sysctl_dirs) / sizeof(*sysctl_dirs) && r >= 0; i++)
		r = read_sysctls(a, sysctl_dirs[i], name, &sysctls);
	t->messages = m.all.v;
	t->n_messages = m.all.n;
	t->sysctls = sysctls.v;
	t->n_sysctls = sysctls.n;
	return r;
}

bool tun_has_address(const FermataTun *t, int family, const void *address)
{
	size_t size = family == AF_INET ? 4 : 16, n;
	for (size_t i = 0; i < t->n_messages; i++) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)t->messages[i].data;
		const struct ifaddrmsg *m = NLMSG_DATA(h);
		size_t len = t->messages[i].len, head = sizeof(*h) + sizeof(*m);
		if (len < head || h->nlmsg_type != RTM_NEWADDR || m->ifa_family != family)
			continue;
		const void *at = sock_diag_attr(m, len - sizeof(*h), sizeof(*m), IFA_LOCAL, &n);
		if (!at)
			at = sock_diag_attr(m, len - sizeof(*h), sizeof(*m), IFA_ADDRESS, &n);
		if (at && n == size && memcmp(at, address, size) == 0)
			return true;
	}
	return false;
}

static int send_again(const ProtobufCBinaryData *d)
{
	struct rtnl_request r = {.len = d->len};
	struct nlmsghdr *h = (struct nlmsghdr *)r.data;
	size_t n;
	if (d->len < sizeof(*h) + sizeof(struct ifaddrmsg) || d->len > sizeof(r.data))
		return -EBADMSG;
	memcpy(r.data, d->data, d->len);
	if (h->nlmsg_type != RTM_NEWADDR && h->nlmsg_type != RTM_NEWNEIGH &&
		h->nlmsg_type != RTM_NEWROUTE)
		return -EBADMSG;
	/* a route beside others to the same place must not take theirs */
	bool adds = h->nlmsg_type == RTM_NEWROUTE &&
		    !sock_diag_attr(NLMSG_DATA(h), d->len - NLMSG_HDRLEN, sizeof(struct rtmsg),
			    RTA_MULTIPATH, &n);
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | (adds ? NLM_F_APPEND : NLM_F_REPLACE);
	h->nlmsg_pid = 0;
	int err = rtnl_do(&r);
	return err == -EEXIST ? 0 : err;
}

int tun_trust_addresses(const char *name)
{
	return set_sysctl("ipv6/conf/accept_dad=0", name);
}

static int distrust_again(const FermataTun *t, const char *name)
{
	static const char key[] = "ipv6/conf/accept_dad=";
	int r = 0;
	for (size_t i = 0; i < t->n_sysctls && r >= 0; i++)
		if (strncmp(t->sysctls[i], key, strlen(key)) == 0)
			r = set_sysctl(t->sysctls[i], name);
	return r;
}

struct tentative {
	uint32_t index;
	bool found;
};

static int find_tentative(void *arg, const struct nlmsghdr *h)
{
	struct tentative *t = arg;
	const struct ifaddrmsg *x = NLMSG_DATA(h);
	if (h->nlmsg_type == RTM_NEWADDR && x->ifa_index == t->index &&
		x->ifa_flags & IFA_F_TENTATIVE && !(x->ifa_flags & IFA_F_DADFAILED))
		t->found = true;
	return 0;
}

/* Those that stay tentative will be told of by whoever cannot have them. */
static int await_addresses(uint32_t index)
{
	const struct ifaddrmsg head = {.ifa_family = AF_INET6};
	const struct timespec nap = {.tv_nsec = 1000000};
	for (int i = 0; i < TENTATIVE_MAX_MS; i++) {
		struct tentative t = {.index = index};
		struct rtnl_request request;
		rtnl_begin(&request, RTM_GETADDR, NLM_F_DUMP, &head, sizeof(head));
		int r = rtnl_ask(&request, find_tentative, &t);
		if (r < 0 || !t.found)
			return r;
		nanosleep(&nap, NULL);
	}
	return 0;
}

int tun_messages_restore(const FermataTun *t, const char *name)
{
	int r = 0;
	for (size_t i = 0; i < t->n_messages && r >= 0; i++)
		r = send_again(&t->messages[i]);
	if (r >= 0 && t->link_flags & IFF_UP)
		r = await_addresses(t->index);
	return r < 0 ? r : distrust_again(t, name);
}
