/* Probes that talk netlink: sock_diag, rtnetlink, nf_tables. */
#include "cli/check_probes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/net_namespace.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/veth.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { NEW_IFINDEX = 49 }; /* IFLA_NEW_IFINDEX */

/* One or more messages under construction. */
struct request {
	char data[2048] __attribute__((aligned(8)));
	uint32_t len;
	uint32_t message; /* offset of the message being built */
};

static void *add_bytes(struct request *r, const void *data, size_t len)
{
	void *at = r->data + r->len;
	if (data)
		memcpy(at, data, len);
	r->len += NLMSG_ALIGN((uint32_t)len);
	return at;
}

static struct nlmsghdr *message_of(struct request *r)
{
	return (struct nlmsghdr *)(r->data + r->message);
}

static void begin(struct request *r, int type, int flags, const void *head, size_t head_len)
{
	struct nlmsghdr h = {.nlmsg_type = (uint16_t)type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
		.nlmsg_seq = 1};
	r->message = r->len;
	add_bytes(r, &h, sizeof(h));
	add_bytes(r, head, head_len);
	message_of(r)->nlmsg_len = r->len - r->message;
}

static uint32_t attr(struct request *r, int type, const void *data, size_t len)
{
	struct nlattr a = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = (uint16_t)type};
	uint32_t at = r->len;
	add_bytes(r, &a, sizeof(a));
	add_bytes(r, data, len);
	message_of(r)->nlmsg_len = r->len - r->message;
	return at;
}

static void attr_u32(struct request *r, int type, uint32_t value)
{
	attr(r, type, &value, sizeof(value));
}

static void attr_text(struct request *r, int type, const char *text)
{
	attr(r, type, text, strlen(text) + 1);
}

/* Closes the attribute that began at `at`: all since is inside it. */
static void nest(struct request *r, uint32_t at)
{
	((struct nlattr *)(r->data + at))->nla_len = (uint16_t)(r->len - at);
}

/* Sends and takes the first answer. *ret_len bytes of it are in reply. 0 or -errno. */
static int talk(int protocol, struct request *r, char *reply, size_t room, size_t *ret_len)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	struct timeval limit = {.tv_sec = 2};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
		send(fd, r->data, r->len, 0) < 0)
		return -errno;
	ssize_t len = recv(fd, reply, room, 0);
	if (len < 0)
		return -errno;
	const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
	if ((size_t)len < sizeof(*h))
		return -EIO;
	*ret_len = (size_t)len;
	return h->nlmsg_type == NLMSG_ERROR ? ((const struct nlmsgerr *)NLMSG_DATA(h))->error : 0;
}

static int ask(int protocol, struct request *r)
{
	char reply[16384] __attribute__((aligned(8)));
	size_t len;
	return talk(protocol, r, reply, sizeof(reply), &len);
}

static int list_inet(int family, int protocol)
{
	struct request r = {0};
	struct inet_diag_req_v2 req = {.sdiag_family = (uint8_t)family,
		.sdiag_protocol = (uint8_t)protocol,
		.idiag_states = ~0u};
	begin(&r, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &req, sizeof(req));
	return ask(NETLINK_SOCK_DIAG, &r);
}

int probe_sock_diag(void)
{
	struct request r = {0};
	struct unix_diag_req req = {.sdiag_family = AF_UNIX, .udiag_states = ~0u};
	begin(&r, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &req, sizeof(req));
	int err = ask(NETLINK_SOCK_DIAG, &r);
	return err ? err : list_inet(AF_INET, IPPROTO_TCP);
}

int probe_net_diag_raw(void)
{
	int err = list_inet(AF_INET, IPPROTO_RAW);
	return err ? err : list_inet(AF_INET6, IPPROTO_RAW);
}

int probe_nsid(void)
{
	struct request r = {0};
	struct rtgenmsg head = {.rtgen_family = AF_UNSPEC};
	_cleanup_close_ int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	begin(&r, RTM_GETNSID, 0, &head, sizeof(head));
	attr_u32(&r, NETNSA_FD, (uint32_t)ns);
	return ask(NETLINK_ROUTE, &r);
}

/* The kernel that knows the attribute refuses a negative index; others do not look at it. */
static int set_bad_ifindex(void)
{
	struct request r = {0};
	struct ifinfomsg head = {.ifi_index = 1};
	if (unshare(CLONE_NEWNET))
		return -errno;
	begin(&r, RTM_SETLINK, NLM_F_ACK, &head, sizeof(head));
	attr_u32(&r, NEW_IFINDEX, (uint32_t)-1);
	int err = ask(NETLINK_ROUTE, &r);
	return err == -ERANGE || err == -EINVAL ? 0 : err ? err : -ENOTSUP;
}

int probe_newifindex(void)
{
	return in_child(set_bad_ifindex);
}

/* A veth with its peer in another namespace must tell which one. */
static int create_split_veth(void)
{
	struct request r = {0};
	struct ifinfomsg head = {0};
	_cleanup_close_ int other = -1;
	if (unshare(CLONE_NEWNET) ||
		(other = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) < 0 ||
		unshare(CLONE_NEWNET))
		return -errno;
	begin(&r, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	attr_text(&r, IFLA_IFNAME, "fermata0");
	uint32_t info = attr(&r, IFLA_LINKINFO, NULL, 0);
	attr_text(&r, IFLA_INFO_KIND, "veth");
	uint32_t data = attr(&r, IFLA_INFO_DATA, NULL, 0);
	uint32_t peer = attr(&r, VETH_INFO_PEER, NULL, 0);
	add_bytes(&r, &head, sizeof(head));
	attr_u32(&r, IFLA_NET_NS_FD, (uint32_t)other);
	nest(&r, peer);
	nest(&r, data);
	nest(&r, info);
	return ask(NETLINK_ROUTE, &r);
}

static int find_link_nsid(void)
{
	char reply[16384] __attribute__((aligned(8)));
	size_t len;
	struct request r = {0};
	struct ifinfomsg head = {0};
	int err = create_split_veth();
	if (err)
		return err;
	begin(&r, RTM_GETLINK, 0, &head, sizeof(head));
	attr_text(&r, IFLA_IFNAME, "fermata0");
	err = talk(NETLINK_ROUTE, &r, reply, sizeof(reply), &len);
	if (err)
		return err;
	struct nlmsghdr *h = (struct nlmsghdr *)reply;
	struct rtattr *a = IFLA_RTA(NLMSG_DATA(h));
	for (int left = (int)IFLA_PAYLOAD(h); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_LINK_NETNSID)
			return 0;
	return -ENODATA;
}

int probe_link_nsid(void)
{
	return in_child(find_link_nsid);
}

int probe_nftables(void)
{
#ifdef HAVE_LIBNFTABLES
	return 0;
#else
	return -ENOSYS;
#endif
}

static void begin_nf(struct request *r, int type, int flags)
{
	bool batch = type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END;
	struct nfgenmsg head = {.nfgen_family = batch ? AF_UNSPEC : NFPROTO_INET,
		.res_id = batch ? htons(NFNL_SUBSYS_NFTABLES) : 0};
	begin(r, batch ? type : NFNL_SUBSYS_NFTABLES << 8 | type, flags, &head, sizeof(head));
}

/* A set keyed by address and port, the shape that a network lock needs. */
static int create_concat_set(void)
{
	struct request r = {0};
	if (unshare(CLONE_NEWNET))
		return -errno;
	begin_nf(&r, NFNL_MSG_BATCH_BEGIN, 0);
	begin_nf(&r, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	attr_text(&r, NFTA_TABLE_NAME, "fermata");
	begin_nf(&r, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_ACK);
	attr_text(&r, NFTA_SET_TABLE, "fermata");
	attr_text(&r, NFTA_SET_NAME, "conn");
	attr_u32(&r, NFTA_SET_FLAGS, htonl(NFT_SET_CONCAT));
	attr_u32(&r, NFTA_SET_KEY_LEN, htonl(8));
	attr_u32(&r, NFTA_SET_ID, htonl(1));
	uint32_t desc = attr(&r, NFTA_SET_DESC, NULL, 0);
	uint32_t concat = attr(&r, NFTA_SET_DESC_CONCAT, NULL, 0);
	for (int i = 0; i < 2; i++) {
		uint32_t field = attr(&r, NFTA_LIST_ELEM, NULL, 0);
		attr_u32(&r, NFTA_SET_FIELD_LEN, htonl(i ? 2 : 4));
		nest(&r, field);
	}
	nest(&r, concat);
	nest(&r, desc);
	begin_nf(&r, NFNL_MSG_BATCH_END, 0);
	return ask(NETLINK_NETFILTER, &r);
}

int probe_network_lock_nftables(void)
{
	return in_child(create_concat_set);
}
