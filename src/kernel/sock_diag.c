/*
 * Asking the kernel for its list of sockets, and taking the answers apart.
 *
 * Answers come as datagrams full of messages, ended by NLMSG_DONE.  A family whose diag module is
 * neither built in nor can be loaded gives -ENOENT: in NLMSG_ERROR for a family
 * (net/core/sock_diag.c), in NLMSG_DONE for a protocol of inet (netlink_dump() puts there what
 * inet_diag_dump() returned).
 */
#include "kernel/sock_diag.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/session.h"

/* The kernel fills up to 32 KiB at once if the reader has that much room. */
enum { ANSWER_MAX = 64 * 1024 };

static int send_request(int fd, uint16_t type, uint16_t flags, const void *request, size_t len)
{
	struct nlmsghdr head = {
		.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + len),
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | flags,
		.nlmsg_seq = 1,
	};
	struct iovec iov[2] = {{&head, NLMSG_HDRLEN}, {(void *)(uintptr_t)request, len}};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct msghdr msg = {.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = iov,
		.msg_iovlen = 2};
	return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}

/* Both NLMSG_DONE and NLMSG_ERROR begin with a negative errno, or 0. */
static int error_of(const struct nlmsghdr *h)
{
	int err;
	if (h->nlmsg_len < (uint32_t)NLMSG_LENGTH(sizeof(err)))
		return h->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	memcpy(&err, NLMSG_DATA(h), sizeof(err));
	return err < 0 ? err : 0;
}

int sock_diag_parse(const void *data, size_t len, sock_diag_fn *fn, void *arg)
{
	const struct nlmsghdr *h = data;
	for (ssize_t left = (ssize_t)len; left > 0; h = NLMSG_NEXT(h, left)) {
		if (!NLMSG_OK(h, left))
			return -EBADMSG;
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return error_of(h);
		if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
			continue;
		int r = fn(arg, NLMSG_DATA(h), h->nlmsg_len - NLMSG_HDRLEN);
		if (r < 0)
			return r;
	}
	return 1;
}

static int receive_all(int fd, char *room, sock_diag_fn *fn, void *arg)
{
	int r = 1;
	while (r > 0) {
		ssize_t n = recv(fd, room, ANSWER_MAX, 0);
		if (n < 0 && errno == EINTR)
			continue;
		r = n <= 0 ? (n ? -errno : -EPIPE) : sock_diag_parse(room, (size_t)n, fn, arg);
	}
	return r;
}

int sock_diag_list(struct session *s, const void *request, size_t len, sock_diag_fn *fn, void *arg)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0 && errno == EPROTONOSUPPORT)
		return -ENOENT;
	if (fd < 0)
		return fail(s, errno, "open a sock_diag socket");
	_cleanup_free_ char *room = malloc(ANSWER_MAX);
	if (!room)
		return fail(s, ENOMEM, "list the sockets");
	int r = send_request(fd, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, request, len);
	if (r >= 0)
		r = receive_all(fd, room, fn, arg);
	return r < 0 && r != -ENOENT
		       ? fail(s, r, "list the sockets of family %u", *(const uint8_t *)request)
		       : r;
}

struct sock_diag_walk sock_diag_begin(const void *message, size_t len, size_t head_len)
{
	size_t head = NLMSG_ALIGN(head_len);
	return (struct sock_diag_walk){(const char *)message + head, head < len ? len - head : 0};
}

bool sock_diag_next(struct sock_diag_walk *walk, struct sock_diag_item *ret)
{
	struct nlattr a;
	if (walk->left < (size_t)NLA_HDRLEN)
		return false;
	memcpy(&a, walk->at, sizeof(a));
	if (a.nla_len < NLA_HDRLEN || a.nla_len > walk->left)
		return false;
	*ret = (struct sock_diag_item){
		a.nla_type & NLA_TYPE_MASK, a.nla_len - NLA_HDRLEN, walk->at + NLA_HDRLEN};
	size_t whole = NLA_ALIGN((size_t)a.nla_len);
	whole = whole < walk->left ? whole : walk->left;
	walk->at += whole;
	walk->left -= whole;
	return true;
}

const void *sock_diag_attr(
	const void *message, size_t len, size_t head_len, unsigned type, size_t *ret_len)
{
	struct sock_diag_walk walk = sock_diag_begin(message, len, head_len);
	struct sock_diag_item item;
	while (sock_diag_next(&walk, &item))
		if (item.type == type) {
			*ret_len = item.len;
			return item.value;
		}
	return NULL;
}

uint32_t sock_diag_u32(
	const void *message, size_t len, size_t head_len, unsigned type, uint32_t absent)
{
	size_t n;
	const void *at = sock_diag_attr(message, len, head_len, type, &n);
	uint32_t value = absent;
	if (at && n >= sizeof(value))
		memcpy(&value, at, sizeof(value));
	return value;
}

uint8_t sock_diag_u8(
	const void *message, size_t len, size_t head_len, unsigned type, uint8_t absent)
{
	size_t n;
	const uint8_t *at = sock_diag_attr(message, len, head_len, type, &n);
	return at && n >= 1 ? *at : absent;
}

/* --- one socket --- */

struct answer {
	void *ret;
	size_t len;
	bool found;
};

static int take_answer(void *arg, const void *message, size_t len)
{
	struct answer *a = arg;
	if (len < a->len)
		return -EBADMSG;
	if (a->ret)
		memcpy(a->ret, message, a->len);
	a->found = true;
	return 0;
}

static int ask_one(uint16_t type, uint16_t flags, const void *request, size_t len, struct answer *a)
{
	_Alignas(struct nlmsghdr) char room[8192];
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		return -errno;
	int r = send_request(fd, type, flags, request, len);
	ssize_t n = r < 0 ? 0 : recv(fd, room, sizeof(room), 0);
	if (r < 0 || n < 0)
		return r < 0 ? r : -errno;
	r = sock_diag_parse(room, (size_t)n, take_answer, a);
	return r < 0 ? r : 0;
}

int sock_diag_get(const void *request, size_t len, void *ret, size_t ret_len)
{
	struct answer a = {.ret = ret, .len = ret_len};
	int r = ask_one(SOCK_DIAG_BY_FAMILY, 0, request, len, &a);
	return r < 0 ? r : a.found ? 0 : -ENOENT;
}

int sock_diag_destroy(const void *request, size_t len)
{
	struct answer none = {0};
	return ask_one(SOCK_DESTROY, NLM_F_ACK, request, len, &none);
}
