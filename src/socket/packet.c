/*
 * Packet sockets (packet(7)): type, protocol, interface, options, memberships, fanout groups.
 *
 * packet_diag tells what no getsockopt() does: memberships, rings (packet_ring.c).  Packets that wait
 * outside of a ring cannot be put back, and are refused.  A socket is made without a protocol, so that
 * nothing comes in before options, filter and interface are as they were; bind(2) then starts it.
 */
#include "socket/inet.h"
#include "socket/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#ifndef PACKET_VNET_HDR_SZ /* 6.4 */
#define PACKET_VNET_HDR_SZ 24
#endif

#include "kernel/sock_diag.h"

enum {
	FANOUT_WITH_PROGRAM = 6, /* PACKET_FANOUT_CBPF, and EBPF behind it */
	FANOUT_NONE = -1,
};

/* Options without a field in images. */
static const int others[] = {
	PACKET_TX_HAS_OFF, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING, PACKET_VNET_HDR_SZ};

static bool packet_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return S_ISSOCK(v->st.stx_mode) && !(v->flags & O_PATH) && socket_family(v) == AF_PACKET;
}

/* --- dump --- */

struct reading {
	struct arena *a;
	PacketSockEntry *e;
	uint32_t ino;
	bool found;
};

static void read_memberships(struct reading *r, const void *data, size_t len)
{
	size_t n = len / sizeof(struct packet_diag_mclist), total = 0;
	struct packet_diag_mclist m;
	for (size_t i = 0; i < n; i++) {
		memcpy(&m, (const char *)data + i * sizeof(m), sizeof(m));
		total += m.pdmc_count;
	}
	r->e->mclist = arena_array(r->a, PacketMclist *, total);
	for (size_t i = 0; i < n; i++) {
		memcpy(&m, (const char *)data + i * sizeof(m), sizeof(m));
		PacketMclist *x = arena_new(r->a, PacketMclist);
		packet_mclist__init(x);
		x->index = m.pdmc_index;
		x->type = m.pdmc_type;
		bool has_addr =
			m.pdmc_type == PACKET_MR_MULTICAST || m.pdmc_type == PACKET_MR_UNICAST;
		if (has_addr && m.pdmc_alen <= sizeof(m.pdmc_addr)) {
			x->addr.data = arena_memdup(r->a, m.pdmc_addr, m.pdmc_alen);
			x->addr.len = m.pdmc_alen;
		}
		for (uint32_t k = 0; k < m.pdmc_count; k++)
			r->e->mclist[r->e->n_mclist++] = x;
	}
}

static PacketRing *read_ring(struct arena *a, const void *message, size_t len, unsigned type)
{
	struct packet_diag_ring r;
	size_t n;
	const void *at = sock_diag_attr(message, len, sizeof(struct packet_diag_msg), type, &n);
	if (!at || n < sizeof(r))
		return NULL;
	memcpy(&r, at, sizeof(r));
	PacketRing *e = arena_new(a, PacketRing);
	packet_ring__init(e);
	e->block_size = r.pdr_block_size;
	e->block_nr = r.pdr_block_nr;
	e->frame_size = r.pdr_frame_size;
	e->frame_nr = r.pdr_frame_nr;
	e->retire_tmo = r.pdr_retire_tmo;
	e->sizeof_priv = r.pdr_sizeof_priv;
	e->features = r.pdr_features;
	return e;
}

static int match(void *arg, const void *message, size_t len)
{
	struct reading *r = arg;
	const struct packet_diag_msg *m = message;
	struct packet_diag_info info;
	size_t n;
	if (len < sizeof(*m) || m->pdiag_ino != r->ino)
		return 0;
	r->found = true;
	r->e->type = m->pdiag_type;
	r->e->protocol = htons(m->pdiag_num);
	const void *data = sock_diag_attr(message, len, sizeof(*m), PACKET_DIAG_INFO, &n);
	if (!data || n < sizeof(info))
		return -EINVAL;
	memcpy(&info, data, sizeof(info));
	r->e->ifindex = info.pdi_index;
	r->e->version = info.pdi_version;
	r->e->reserve = info.pdi_reserve;
	r->e->copy_thresh = info.pdi_copy_thresh;
	r->e->timestamp = info.pdi_tstamp;
	r->e->aux_data = info.pdi_flags & PDI_AUXDATA;
	r->e->orig_dev = info.pdi_flags & PDI_ORIGDEV;
	r->e->vnet_hdr = info.pdi_flags & PDI_VNETHDR;
	r->e->loss = info.pdi_flags & PDI_LOSS;
	r->e->rx_ring = read_ring(r->a, message, len, PACKET_DIAG_RX_RING);
	r->e->tx_ring = read_ring(r->a, message, len, PACKET_DIAG_TX_RING);
	data = sock_diag_attr(message, len, sizeof(*m), PACKET_DIAG_MCLIST, &n);
	if (data)
		read_memberships(r, data, n);
	return 0;
}

static int ask_diag(struct file_dump *d, struct reading *r)
{
	const struct packet_diag_req request = {
		.sdiag_family = AF_PACKET,
		.pdiag_show = PACKET_SHOW_INFO | PACKET_SHOW_MCLIST | PACKET_SHOW_RING_CFG,
	};
	int err = sock_diag_list(d->s, &request, sizeof(request), match, r);
	return err == -ENOENT ? 0 : err;
}

static void refuse(struct file_dump *d, const struct file_view *v, const struct reading *r)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(memory);
	/* what is in a ring is not counted */
	getsockopt(v->fd, SOL_SOCKET, SO_MEMINFO, memory, &len);
	bool unread = memory[SK_MEMINFO_RMEM_ALLOC];
	if (!r->found)
		view_block(d, v, "load the kernel module packet_diag",
			"a packet socket (%s), about which this kernel tells nothing", v->link);
	else if (r->e->type == SOCK_PACKET)
		view_block(d, v, NULL, "a packet socket (%s) of the obsolete type SOCK_PACKET",
			v->link);
	else if (r->e->has_fanout && (r->e->fanout >> 16 & 0xff) >= FANOUT_WITH_PROGRAM)
		view_block(d, v, NULL,
			"a packet socket (%s) in a fanout group that a program divides", v->link);
	else if (unread || view_poll(d, v, 0) & POLLERR)
		view_block(d, v, "have the program read it", "a packet socket (%s) with unread %s",
			v->link, unread ? "packets" : "errors");
}

static int packet_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	PacketSockEntry *e = arena_new(&d->s->arena, PacketSockEntry);
	const TaskKobjIdsEntry *ids = v->from.task->ids;
	struct reading reading = {.a = &d->s->arena, .e = e, .ino = (uint32_t)v->st.stx_ino};
	packet_sock_entry__init(e);
	f->detail = e;
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	e->has_ns_id = ids && ids->has_net_ns_id;
	e->ns_id = e->has_ns_id ? ids->net_ns_id : 0;
	int r = ask_diag(d, &reading);
	if (r < 0)
		return r;
	int fanout = 0;
	socklen_t len = sizeof(fanout);
	if (getsockopt(v->fd, SOL_PACKET, PACKET_FANOUT, &fanout, &len) == 0 && fanout) {
		e->has_fanout = true;
		e->fanout = (uint32_t)fanout;
	}
	refuse(d, v, &reading);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		int value = 0;
		len = sizeof(value);
		if (getsockopt(v->fd, SOL_PACKET, others[i], &value, &len) == 0 && value)
			sk_option_keep(d, f, SOL_PACKET, others[i], &value, sizeof(value));
	}
	r = sk_opts_dump(d, v, f, &e->opts);
	if (r >= 0 && (e->rx_ring || e->tx_ring))
		r = packet_rings_dump(d, v, e, f);
	return r < 0 ? r : fown_dump(d, v, &e->fown);
}

/* --- restore --- */

/* Not that of the socket alone, also those of its memberships. */
static int check_interface(
	struct file_set *f, const struct open_file *o, uint32_t index, const char *what)
{
	char name[IF_NAMESIZE];
	if (f->s->images_only || !index || if_indextoname(index, name) ||
		tun_comes_as(f, NULL, index))
		return 0;
	return fail_remedy(f->s, ENODEV, "make an interface with this number",
		"%s: a packet socket %s interface %u, which is not here", open_file_label(f, o),
		what, index);
}

static const char *membership_name(struct file_set *f, const PacketMclist *m)
{
	static const char *const names[] = {[PACKET_MR_MULTICAST] = "a multicast address",
		[PACKET_MR_PROMISC] = "all packets (PACKET_MR_PROMISC)",
		[PACKET_MR_ALLMULTI] = "all multicast packets (PACKET_MR_ALLMULTI)",
		[PACKET_MR_UNICAST] = "a second address (PACKET_MR_UNICAST)"};
	bool known = m->type < sizeof(names) / sizeof(*names) && names[m->type];
	return arena_printf(&f->s->arena, "that wants %s of", known ? names[m->type] : "something");
}

static int packet_check(struct file_set *f, struct open_file *o)
{
	const PacketSockEntry *e = o->e->psk;
	o->flags = e->flags;
	o->fown = e->fown;
	if (e->type != SOCK_RAW && e->type != SOCK_DGRAM)
		return fail(f->s, EOPNOTSUPP, "%s: a packet socket of type %u is not supported",
			open_file_label(f, o), e->type);
	int r = packet_rings_check(f, o);
	if (r < 0)
		return r;
	r = check_interface(f, o, e->ifindex, "on");
	for (size_t i = 0; i < e->n_mclist && r >= 0; i++) {
		const PacketMclist *m = e->mclist[i];
		if (m->addr.len > 8)
			return fail(f->s, EBADMSG, "file %u: an address of %zu bytes", o->id,
				m->addr.len);
		r = check_interface(f, o, m->index, membership_name(f, m));
	}
	if (r < 0)
		return r;
	return sk_opts_check(f, o, e->opts);
}

static int set_options(const PacketSockEntry *e, int fd)
{
	const struct {
		int option;
		uint32_t value;
	} all[] = {
		{PACKET_VERSION, e->version},
		{PACKET_RESERVE, e->reserve},
		{PACKET_TIMESTAMP, e->timestamp},
		{PACKET_AUXDATA, e->aux_data},
		{PACKET_ORIGDEV, e->orig_dev},
		{PACKET_VNET_HDR, e->vnet_hdr},
		{PACKET_LOSS, e->loss},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].value && setsockopt(fd, SOL_PACKET, all[i].option, &all[i].value,
					    sizeof(all[i].value)) < 0)
			return -errno;
	return 0;
}

static int join(const PacketSockEntry *e, int fd)
{
	for (size_t i = 0; i < e->n_mclist; i++) {
		const PacketMclist *m = e->mclist[i];
		struct packet_mreq req = {.mr_ifindex = (int)m->index,
			.mr_type = (unsigned short)m->type,
			.mr_alen = (unsigned short)m->addr.len};
		if (m->addr.len)
			memcpy(req.mr_address, m->addr.data, m->addr.len);
		if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &req, sizeof(req)) < 0)
			return -errno;
	}
	return 0;
}

static int start(const PacketSockEntry *e, int fd)
{
	const struct sockaddr_ll name = {.sll_family = AF_PACKET,
		.sll_protocol = (uint16_t)e->protocol,
		.sll_ifindex = (int)e->ifindex};
	if ((e->protocol || e->ifindex) &&
		bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
		return -errno;
	if (e->has_fanout && (int)e->fanout != FANOUT_NONE &&
		setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &e->fanout, sizeof(e->fanout)) < 0)
		return -errno;
	return 0;
}

static int set_number(int fd, int option, uint32_t value)
{
	return value && setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* PACKET_TX_HAS_OFF is not taken any more once there is a ring. */
static uint32_t tx_has_off(const struct open_file *o)
{
	for (size_t i = 0; o->extra && i < o->extra->n_socket_options; i++)
		if (o->extra->socket_options[i]->level == SOL_PACKET &&
			o->extra->socket_options[i]->option == PACKET_TX_HAS_OFF)
			return 1;
	return 0;
}

static int make_one(struct file_set *f, struct open_file *o)
{
	const PacketSockEntry *e = o->e->psk;
	o->fd = socket(AF_PACKET, (int)e->type | SOCK_CLOEXEC, 0);
	int r = o->fd < 0 ? -errno : set_options(e, o->fd);
	if (r >= 0)
		r = set_number(o->fd, PACKET_TX_HAS_OFF, tx_has_off(o));
	if (r >= 0 && (e->rx_ring || e->tx_ring))
		r = packet_rings_make(o, o->fd);
	return r < 0 ? fail(f->s, r, "%s: make a packet socket with its rings",
			       open_file_label(f, o))
		     : 0;
}

static int complete(struct file_set *f, struct open_file *o)
{
	const PacketSockEntry *e = o->e->psk;
	int none = 0;
	setsockopt(o->fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)); /* packet_turn.c */
	int r = sk_opts_restore(f, o, e->opts, o->fd);
	if (r < 0)
		return r;
	r = set_number(o->fd, PACKET_COPY_THRESH, e->copy_thresh);
	if (r >= 0)
		r = join(e, o->fd);
	if (r >= 0)
		r = start(e, o->fd);
	return r < 0 ? fail(f->s, r, "%s: make a packet socket on interface %u",
			       open_file_label(f, o), e->ifindex)
		     : 0;
}

static bool is_to_be_made(const struct open_file *o)
{
	return o->e->type == FD_TYPES__PACKETSK && o->uses_left && o->inherited < 0;
}

/* All at once: none shall see what the rings of others need. */
static int packet_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	int (*const steps[])(struct file_set *, struct open_file *) = {make_one, complete};
	/* nor what the restore sends into inet sockets */
	int r = f->inet ? inet_plain_make(f) : tun_make_all(f);
	for (size_t step = 0; step < 2; step++)
		vec_for_each (&f->all, it)
			if (r >= 0 && (*it == o || is_to_be_made(*it)))
				r = steps[step](f, *it);
	*ret_fd = o->fd;
	return r;
}

const struct file_type packet_type = {
	.type = FD_TYPES__PACKETSK,
	.name = "packet socket",
	.restored = "type, protocol, interface, options, filter, memberships, fanout group, rings "
		    "of all versions with their contents",
	.limits = "unread packets outside of a ring, used rings for sending, SOCK_PACKET, fanout "
		  "by a program",
	.detail = offsetof(FileEntry, psk),
	.recognize = packet_recognize,
	.collect = packet_collect,
	.complete = packet_link_mappings,
	.check = packet_check,
	.create = packet_create,
};
