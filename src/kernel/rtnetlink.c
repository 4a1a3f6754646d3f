/* Requests to rtnetlink, and their answers. */
#include "kernel/rtnetlink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum { ANSWER_MAX = 64 * 1024 };

static void append(struct rtnl_request *r, const void *data, size_t len)
{
	size_t room = NLMSG_ALIGN(len);
	if (r->len + room > sizeof(r->data)) {
		r->len = sizeof(r->data) + 1; /* rtnl_ask() says so */
		return;
	}
	memset(r->data + r->len, 0, room);
	if (data)
		memcpy(r->data + r->len, data, len);
	r->len += room;
}

void rtnl_begin(
	struct rtnl_request *r, unsigned type, unsigned flags, const void *head, size_t head_len)
{
	const struct nlmsghdr h = {.nlmsg_type = (uint16_t)type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
		.nlmsg_seq = 1};
	r->len = 0;
	append(r, &h, sizeof(h));
	append(r, head, head_len);
}

void rtnl_put(struct rtnl_request *r, unsigned type, const void *data, size_t len)
{
	const struct nlattr a = {
		.nla_type = (uint16_t)type, .nla_len = (uint16_t)(NLA_HDRLEN + len)};
	append(r, &a, sizeof(a));
	append(r, data, len);
}

int rtnl_parse(const void *data, size_t len, rtnl_fn *fn, void *arg)
{
	const struct nlmsghdr *h = data;
	bool multi = false;
	for (ssize_t left = (ssize_t)len; left > 0; h = NLMSG_NEXT(h, left)) {
		int err = 0;
		if (!NLMSG_OK(h, left))
			return -EBADMSG;
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR) {
			if (h->nlmsg_len < (uint32_t)NLMSG_LENGTH(sizeof(err)))
				return -EBADMSG;
			memcpy(&err, NLMSG_DATA(h), sizeof(err));
			return err < 0 ? err : 0;
		}
		int r = fn ? fn(arg, h) : 0;
		if (r < 0)
			return r;
		multi = h->nlmsg_flags & NLM_F_MULTI;
	}
	return multi;
}

int rtnl_ask(struct rtnl_request *r, rtnl_fn *fn, void *arg)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	_cleanup_free_ char *room = malloc(ANSWER_MAX);
	if (fd < 0 || !room)
		return fd < 0 ? -errno : -ENOMEM;
	if (r->len > sizeof(r->data))
		return -EMSGSIZE;
	((struct nlmsghdr *)r->data)->nlmsg_len = (uint32_t)r->len;
	if (sendto(fd, r->data, r->len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	int more = 1;
	while (more > 0) {
		ssize_t n = recv(fd, room, ANSWER_MAX, 0);
		if (n < 0 && errno == EINTR)
			continue;
		more = n <= 0 ? (n ? -errno : -EPIPE) : rtnl_parse(room, (size_t)n, fn, arg);
	}
	return more;
}

int rtnl_do(struct rtnl_request *r)
{
	((struct nlmsghdr *)r->data)->nlmsg_flags |= NLM_F_ACK;
	return rtnl_ask(r, NULL, NULL);
}
