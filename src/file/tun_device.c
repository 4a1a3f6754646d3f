/*
 * Tun and tap devices: read by ioctl(2) and rtnetlink(7), attached to, or made again.
 *
 * A device that is not persistent goes with its last descriptor, and with it all that the machine
 * knew of it: so the image holds what makes it again, with its number, because programs and
 * routes refer to that. Addresses, permanent neighbours and routes are kept as the very messages
 * that rtnetlink answers and takes; what the kernel makes by itself comes by itself. A device that
 * is there is attached to and left as it is.
 *
 * Not told by the kernel, and so not kept: TUNSETTXFILTER, programs of TUNSETSTEERINGEBPF and
 * TUNSETFILTEREBPF.
 */
#include <net/if.h> /* before linux/if.h */

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "file/tun.h"
#include "file/tun_settings.h"
#include "kernel/rtnetlink.h"
#include "kernel/sock_diag.h"

enum {
	MODES = IFF_TUN | IFF_TAP,
	/* what TUNSETIFF takes; IFF_NOFILTER has the same bit as IFF_NO_PI in answers */
	FEATURES = MODES | IFF_NAPI | IFF_NAPI_FRAGS | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE,
	LINK_FLAGS = IFF_UP | IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST | IFF_DEBUG,
};

/* --- the link, as rtnetlink tells --- */

struct link {
	struct arena *a;
	FermataTun *t;
	bool found, has_xdp;
	const char *kind;
};

static const void *nested(const void *data, size_t len, unsigned type, size_t *ret_len)
{
	return data ? sock_diag_attr(data, len, 0, type, ret_len) : NULL;
}

static uint8_t info_u8(const void *info, size_t len, unsigned type)
{
	return info ? sock_diag_u8(info, len, 0, type, 0) : 0;
}

static void read_tun_info(struct link *l, const void *info, size_t len)
{
	size_t n;
	FermataTun *t = l->t;
	t->flags |= info_u8(info, len, IFLA_TUN_TYPE) & MODES;
	t->flags |= info_u8(info, len, IFLA_TUN_PI) ? 0 : IFF_NO_PI;
	t->flags |= info_u8(info, len, IFLA_TUN_VNET_HDR) ? IFF_VNET_HDR : 0;
	t->flags |= info_u8(info, len, IFLA_TUN_PERSIST) ? IFF_PERSIST : 0;
	t->flags |= info_u8(info, len, IFLA_TUN_MULTI_QUEUE) ? IFF_MULTI_QUEUE : 0;
	t->has_owner = nested(info, len, IFLA_TUN_OWNER, &n) != NULL;
	t->has_group = nested(info, len, IFLA_TUN_GROUP, &n) != NULL;
	t->owner = t->has_owner ? sock_diag_u32(info, len, 0, IFLA_TUN_OWNER, 0) : 0;
	t->group = t->has_group ? sock_diag_u32(info, len, 0, IFLA_TUN_GROUP, 0) : 0;
}

static int read_link(void *arg, const struct nlmsghdr *h)
{
	struct link *l = arg;
	FermataTun *t = l->t;
	const struct ifinfomsg *m = NLMSG_DATA(h);
	const size_t head = sizeof(*m), len = h->nlmsg_len - NLMSG_HDRLEN;
	size_t n, info_len = 0;
	if (h->nlmsg_type != RTM_NEWLINK || len < head)
		return -EBADMSG;
	l->found = true;
	t->index = (uint32_t)m->ifi_index;
	t->link_type = m->ifi_type;
	t->link_flags = m->ifi_flags & LINK_FLAGS;
	t->mtu = sock_diag_u32(m, len, head, IFLA_MTU, 0);
	t->queue_len = sock_diag_u32(m, len, head, IFLA_TXQLEN, 0);
	t->master = sock_diag_u32(m, len, head, IFLA_MASTER, 0);
	t->has_master = t->master != 0;
	t->no_carrier = !sock_diag_u8(m, len, head, IFLA_CARRIER, 1);
	t->has_no_carrier = t->no_carrier;
	const void *at = sock_diag_attr(m, len, head, IFLA_ADDRESS, &n);
	t->has_address = at && n;
	if (t->has_address) {
		t->address.len = n;
		t->address.data = arena_memdup(l->a, at, n);
	}
	at = sock_diag_attr(m, len, head, IFLA_IFALIAS, &n);
	t->alias = at && n ? arena_printf(l->a, "%.*s", (int)n, (const char *)at) : NULL;
	at = sock_diag_attr(m, len, head, IFLA_XDP, &n);
	l->has_xdp = info_u8(at, n, IFLA_XDP_ATTACHED);
	const void *info = sock_diag_attr(m, len, head, IFLA_LINKINFO, &info_len);
	at = nested(info, info_len, IFLA_INFO_KIND, &n);
	l->kind = at ? arena_printf(l->a, "%.*s", (int)n, (const char *)at) : "";
	at = nested(info, info_len, IFLA_INFO_DATA, &n);
	if (at)
		read_tun_info(l, at, n);
	return 0;
}

/* -ENODEV: there is none */
static int ask_link(struct arena *a, const char *name, struct link *ret)
{
	const struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
	struct rtnl_request r;
	*ret = (struct link){.a = a, .t = arena_new(a, FermataTun)};
	fermata_tun__init(ret->t);
	rtnl_begin(&r, RTM_GETLINK, 0, &head, sizeof(head));
	rtnl_put(&r, IFLA_IFNAME, name, strlen(name) + 1);
	return rtnl_ask(&r, read_link, ret);
}

/* --- the driver, as the descriptor tells --- */

static void read_driver(int fd, FermataTun *t, int flags)
{
	int value = 0;
	t->flags |= (uint32_t)flags & (IFF_NAPI | IFF_NAPI_FRAGS);
	if (ioctl(fd, TUNGETSNDBUF, &value) == 0)
		t->sndbuf = (uint32_t)value;
	if (ioctl(fd, TUNGETVNETHDRSZ, &value) == 0)
		t->vnet_hdr_size = (uint32_t)value;
	if (ioctl(fd, TUNGETVNETLE, &value) == 0)
		t->has_vnet_little_endian = t->vnet_little_endian = value != 0;
}

static bool has_filter(int fd)
{
	struct sock_fprog filter = {0};
	return ioctl(fd, TUNGETFILTER, &filter) == 0 && filter.len;
}

static void block_device(
	struct file_dump *d, const struct file_view *v, const char *name, const struct link *l)
{
	if (has_filter(v->fd))
		view_block(d, v, "have the program detach it (TUNDETACHFILTER)",
			"the tap device %s with a filter, which cannot be read", name);
	if (l->has_xdp)
		view_block(d, v, "ip link set dev ... xdp off", "the device %s with an XDP program",
			name);
	if (!(l->t->flags & IFF_PERSIST) && tun_has_qdisc(l->t->index))
		view_block(d, v, "remove it, or make the device persistent",
			"the device %s with a queueing discipline, which is not kept", name);
}

int tun_device_dump(struct file_dump *d, const struct file_view *v, FermataTun **ret,
	const char **ret_name, bool *ret_detached)
{
	struct ifreq ifr = {0};
	struct link l;
	*ret = NULL;
	if (ioctl(v->fd, TUNGETIFF, &ifr) < 0) /* EBADFD: attached to none */
		return 0;
	const char *name = arena_printf(&d->s->arena, "%.*s", IFNAMSIZ, ifr.ifr_name);
	int r = ask_link(&d->s->arena, name, &l);
	if (r >= 0) {
		read_driver(v->fd, l.t, ifr.ifr_flags);
		l.t->offload = tun_offload(name);
		block_device(d, v, name, &l);
		r = tun_settings_dump(&d->s->arena, l.t, name);
	}
	if (r < 0)
		return fail(d->s, r, "pid %d %s: read the device %s", v->from.task->vpid,
			view_label(d, v), name);
	*ret = l.t;
	*ret_name = name;
	*ret_detached = ifr.ifr_flags & IFF_DETACH_QUEUE;
	return 0;
}

/* --- restore --- */

int tun_device_check(
	struct file_set *f, const struct open_file *o, const FermataTun *t, const char *name)
{
	struct link l;
	char other[IFNAMSIZ];
	const char *label = open_file_label(f, o);
	int r = ask_link(&f->s->arena, name, &l);
	if (r == -ENODEV && t->index && if_indextoname(t->index, other))
		return fail_remedy(f->s, EEXIST, "remove or rename that device",
			"%s: the device %s had the number %u, which %s has now", label, name,
			t->index, other);
	if (r == -ENODEV)
		return t->address.len > 32
			       ? fail(f->s, EBADMSG, "%s: its device is not sane", label)
			       : 0;
	if (r < 0)
		return fail(f->s, r, "%s: look for the device %s", label, name);
	if (strcmp(l.kind, "tun") != 0 || (l.t->flags & MODES) != (t->flags & MODES))
		return fail(f->s, EEXIST, "%s: the device %s is another one now", label, name);
	if (!(l.t->flags & (IFF_PERSIST | IFF_MULTI_QUEUE)))
		return fail_remedy(f->s, EBUSY, "end the program that has it",
			"%s: the device %s is taken", label, name);
	return 0;
}

/* As far as the descriptor does it; before the device is up. */
static int set_driver(const FermataTun *t, int fd)
{
	int sndbuf = (int)t->sndbuf, header = (int)t->vnet_hdr_size, one = 1;
	unsigned type = t->link_type;
	bool usual = type == (t->flags & IFF_TAP ? ARPHRD_ETHER : ARPHRD_NONE);
	if ((t->has_owner && ioctl(fd, TUNSETOWNER, (unsigned long)t->owner) < 0) ||
		(t->has_group && ioctl(fd, TUNSETGROUP, (unsigned long)t->group) < 0) ||
		(sndbuf && ioctl(fd, TUNSETSNDBUF, &sndbuf) < 0) ||
		(t->flags & IFF_VNET_HDR && header && ioctl(fd, TUNSETVNETHDRSZ, &header) < 0) ||
		(t->vnet_little_endian && ioctl(fd, TUNSETVNETLE, &one) < 0) ||
		(!usual && ioctl(fd, TUNSETLINK, (unsigned long)type) < 0) ||
		ioctl(fd, TUNSETOFFLOAD, (unsigned long)t->offload) < 0)
		return -errno;
	return 0;
}

static int set_link(const FermataTun *t, uint32_t flags)
{
	struct rtnl_request r;
	const struct ifinfomsg head = {.ifi_family = AF_UNSPEC,
		.ifi_index = (int)t->index,
		.ifi_flags = flags,
		.ifi_change = LINK_FLAGS};
	rtnl_begin(&r, RTM_NEWLINK, 0, &head, sizeof(head));
	rtnl_put(&r, IFLA_MTU, &t->mtu, sizeof(t->mtu));
	rtnl_put(&r, IFLA_TXQLEN, &t->queue_len, sizeof(t->queue_len));
	if (t->flags & IFF_TAP && t->address.len)
		rtnl_put(&r, IFLA_ADDRESS, t->address.data, t->address.len);
	if (t->alias)
		rtnl_put(&r, IFLA_IFALIAS, t->alias, strlen(t->alias));
	if (t->master)
		rtnl_put(&r, IFLA_MASTER, &t->master, sizeof(t->master));
	return rtnl_do(&r);
}

static int set_up(const FermataTun *t, const char *name, int fd)
{
	int off = 0;
	int r = set_driver(t, fd);
	if (r >= 0)
		r = set_link(t, t->link_flags & ~(uint32_t)IFF_UP);
	if (r >= 0)
		r = tun_settings_restore(t, name);
	if (r >= 0)
		r = tun_trust_addresses(name);
	if (r >= 0 && t->link_flags & IFF_UP)
		r = set_link(t, t->link_flags);
	if (r >= 0)
		r = tun_messages_restore(t, name);
	if (r >= 0 && t->no_carrier && t->link_flags & IFF_UP && ioctl(fd, TUNSETCARRIER, &off) < 0)
		r = -errno;
	return r;
}

int tun_device_attach(struct file_set *f, const struct open_file *o, const FermataTun *t,
	const char *name, int fd)
{
	struct ifreq ifr = {.ifr_flags = (short)(t->flags & FEATURES)};
	unsigned index = t->index;
	const char *label = open_file_label(f, o);
	bool missing = !if_nametoindex(name);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if ((missing && ioctl(fd, TUNSETIFINDEX, &index) < 0) || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return fail(f->s, errno, "%s: %s the device %s", label,
			missing ? "make" : "attach to", name);
	int r = missing ? set_up(t, name, fd) : 0;
	return r < 0 ? fail(f->s, r, "%s: set up the device %s", label, name) : 0;
}
