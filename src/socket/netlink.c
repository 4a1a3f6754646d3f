/*
 * Netlink sockets (netlink(7)): protocol, port id, groups, where they are connected to, options.
 *
 * The socket itself tells its name and all of its groups (NETLINK_LIST_MEMBERSHIPS); whether it was
 * connected, and whether an answer is still being produced, only netlink_diag does, asked once.
 * Where the kernel lacks that, a socket counts as connected if it has a peer.  sock_diag is asked
 * for this family alone: its modules for others have a part in audit, which may fill queues.
 *
 * Unread messages cannot be had without taking them, nor put back: they are refused.  At restore
 * the port id and groups must be free and allowed, which is tried before anything is forked.
 */
#include "socket/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/sock_diag.h"

enum {
	GROUP_WORDS_MAX = 64,
	STATE_CONNECTED = 1, /* net/netlink/af_netlink.c */
	STATE_UNCONNECTED = 7,
	CB_RUNNING = 1, /* NDIAG_FLAG_CB_RUNNING */
};

static const struct {
	int option;
	const char *name;
} options[] = {
	{NETLINK_PKTINFO, "NETLINK_PKTINFO"},
	{NETLINK_BROADCAST_ERROR, "NETLINK_BROADCAST_ERROR"},
	{NETLINK_NO_ENOBUFS, "NETLINK_NO_ENOBUFS"},
	{NETLINK_LISTEN_ALL_NSID, "NETLINK_LISTEN_ALL_NSID"},
	{NETLINK_CAP_ACK, "NETLINK_CAP_ACK"},
	{NETLINK_EXT_ACK, "NETLINK_EXT_ACK"},
	{NETLINK_GET_STRICT_CHK, "NETLINK_GET_STRICT_CHK"},
};

static bool netlink_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return S_ISSOCK(v->st.stx_mode) && !(v->flags & O_PATH) && socket_family(v) == AF_NETLINK;
}

/* --- dump --- */

/* What netlink_diag says of one inode. */
struct told {
	uint32_t ino, state, flags;
	bool found;
};

static int match(void *arg, const void *message, size_t len)
{
	struct told *told = arg;
	const struct netlink_diag_msg *m = message;
	if (len < sizeof(*m) || m->ndiag_ino != told->ino)
		return 0;
	told->found = true;
	told->state = m->ndiag_state;
	told->flags = sock_diag_u32(message, len, sizeof(*m), NETLINK_DIAG_FLAGS, 0);
	return 0;
}

static int ask_diag(struct file_dump *d, const struct file_view *v, int protocol, struct told *told)
{
	const struct netlink_diag_req request = {
		.sdiag_family = AF_NETLINK,
		.sdiag_protocol = (uint8_t)protocol,
		.ndiag_show = NDIAG_SHOW_FLAGS,
	};
	told->ino = (uint32_t)v->st.stx_ino;
	int r = sock_diag_list(d->s, &request, sizeof(request), match, told);
	return r == -ENOENT ? 0 : r;
}

static int read_groups(struct file_dump *d, const struct file_view *v, NetlinkSkEntry *e)
{
	uint32_t *words = arena_array(&d->s->arena, uint32_t, GROUP_WORDS_MAX);
	socklen_t len = GROUP_WORDS_MAX * sizeof(*words);
	if (getsockopt(v->fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &len) < 0)
		return fail(d->s, errno, "pid %d %s: read its groups", v->from.task->vpid,
			view_label(d, v));
	size_t n = len / sizeof(*words);
	n = n > GROUP_WORDS_MAX ? GROUP_WORDS_MAX : n;
	while (n && !words[n - 1])
		n--;
	e->groups = words;
	e->n_groups = n;
	return 0;
}

static int read_names(
	struct file_dump *d, const struct file_view *v, const struct told *told, NetlinkSkEntry *e)
{
	struct sockaddr_nl own = {0}, peer = {0};
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
	if (getsockname(v->fd, (struct sockaddr *)&own, &own_len) < 0 ||
		getpeername(v->fd, (struct sockaddr *)&peer, &peer_len) < 0)
		return fail(d->s, errno, "pid %d %s: read its address", v->from.task->vpid,
			view_label(d, v));
	e->portid = own.nl_pid;
	e->dst_portid = peer.nl_pid;
	e->dst_group = (uint32_t)__builtin_ffs((int)peer.nl_groups);
	bool has_peer = e->dst_portid || e->dst_group;
	e->state = told->found ? told->state : has_peer ? STATE_CONNECTED : STATE_UNCONNECTED;
	return 0;
}

static void refuse_unread(struct file_dump *d, const struct file_view *v, const struct told *told)
{
	int events = view_poll(d, v, POLLIN);
	if (events)
		view_block(d, v, "have the program read it", "a netlink socket (%s) with unread %s",
			v->link, events & POLLIN ? "messages" : "errors");
	else if (told->flags & CB_RUNNING)
		view_block(d, v, "have the program read it",
			"a netlink socket (%s) to which the kernel still has to answer", v->link);
}

static int netlink_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	NetlinkSkEntry *e = arena_new(&d->s->arena, NetlinkSkEntry);
	const TaskKobjIdsEntry *ids = v->from.task->ids;
	struct told told = {0};
	netlink_sk_entry__init(e);
	f->detail = e;
	e->id = f->id;
	e->ino = (uint32_t)v->st.stx_ino;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	e->protocol = (uint32_t)socket_int(v->fd, SO_PROTOCOL, 0);
	e->has_ns_id = ids && ids->has_net_ns_id;
	e->ns_id = e->has_ns_id ? ids->net_ns_id : 0;
	int r = ask_diag(d, v, (int)e->protocol, &told);
	if (r >= 0)
		r = read_groups(d, v, e);
	if (r >= 0)
		r = read_names(d, v, &told, e);
	if (r < 0)
		return r;
	refuse_unread(d, v, &told);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int value = 0;
		socklen_t len = sizeof(value);
		if (getsockopt(v->fd, SOL_NETLINK, options[i].option, &value, &len) == 0 && value)
			sk_option_keep(d, f, SOL_NETLINK, options[i].option, &value, sizeof(value));
	}
	int type = socket_int(v->fd, SO_TYPE, SOCK_RAW);
	if (type != SOCK_RAW) {
		file_extra_make(d, f)->has_socket_type = true;
		f->extra->socket_type = (uint32_t)type;
	}
	r = sk_opts_dump(d, v, f, &e->opts);
	return r < 0 ? r : fown_dump(d, v, &e->fown);
}

/* --- restore --- */

static int join_groups(const NetlinkSkEntry *e, int fd)
{
	for (size_t word = 0; word < e->n_groups; word++)
		for (int bit = 0; bit < 32; bit++) {
			int group = (int)word * 32 + bit + 1;
			if (e->groups[word] & UINT32_C(1) << bit &&
				setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
					sizeof(group)) < 0)
				return -errno;
		}
	return 0;
}

static int give_names(const NetlinkSkEntry *e, int fd)
{
	struct sockaddr_nl own = {.nl_family = AF_NETLINK, .nl_pid = e->portid};
	struct sockaddr_nl peer = {.nl_family = AF_NETLINK, .nl_pid = e->dst_portid};
	peer.nl_groups = e->dst_group ? UINT32_C(1) << (e->dst_group - 1) : 0;
	if (e->portid && bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0)
		return -errno;
	int r = join_groups(e, fd);
	if (r >= 0 && e->state == STATE_CONNECTED &&
		connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0)
		r = -errno;
	return r;
}

static int make(struct file_set *f, const struct open_file *o)
{
	const NetlinkSkEntry *e = o->e->nlsk;
	int type = o->extra && o->extra->has_socket_type ? (int)o->extra->socket_type : SOCK_RAW;
	_cleanup_close_ int fd = socket(AF_NETLINK, type | SOCK_CLOEXEC, (int)e->protocol);
	if (fd < 0)
		return fail(f->s, errno, "%s: make a netlink socket of protocol %u",
			open_file_label(f, o), e->protocol);
	int r = give_names(e, fd);
	if (r == -EADDRINUSE)
		return fail_remedy(f->s, r, "end the program that has it",
			"%s: the port id %u of netlink protocol %u is taken", open_file_label(f, o),
			e->portid, e->protocol);
	if (r < 0)
		return fail(f->s, r, "%s: give a netlink socket of protocol %u its port id %u",
			open_file_label(f, o), e->protocol, e->portid);
	return take_fd(&fd);
}

static int netlink_check(struct file_set *f, struct open_file *o)
{
	const NetlinkSkEntry *e = o->e->nlsk;
	o->flags = e->flags;
	o->fown = e->fown;
	if (e->n_groups > GROUP_WORDS_MAX || e->dst_group > 32 || e->protocol > 255)
		return fail(f->s, EBADMSG, "file %u: this netlink socket is not sane", o->id);
	int r = sk_opts_check(f, o, e->opts);
	if (r < 0 || f->s->images_only)
		return r;
	_cleanup_close_ int fd = make(f, o);
	return fd < 0 ? fd : 0;
}

static int netlink_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	_cleanup_close_ int fd = make(f, o);
	int r = fd < 0 ? fd : sk_opts_restore(f, o, o->e->nlsk->opts, fd);
	if (r >= 0)
		*ret_fd = take_fd(&fd);
	return r;
}

const struct file_type netlink_type = {
	.type = FD_TYPES__NETLINKSK,
	.name = "netlink socket",
	.restored = "port id, groups, peer, options",
	.limits = "unread messages, answers under way",
	.detail = offsetof(FileEntry, nlsk),
	.recognize = netlink_recognize,
	.collect = netlink_collect,
	.check = netlink_check,
	.create = netlink_create,
};
