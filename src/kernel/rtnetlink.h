/*
 * rtnetlink(7): network devices, addresses, routes of the controller's network namespace.
 *
 * Answers to a dump are of the very form in which the same thing is asked for, so what was read
 * can be sent again to make it. Attributes are read by sock_diag_attr().
 */
#ifndef FERMATA_KERNEL_RTNETLINK_H
#define FERMATA_KERNEL_RTNETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

struct rtnl_request {
	_Alignas(struct nlmsghdr) char data[4096];
	size_t len;
};

/* type RTM_..., flags beside NLM_F_REQUEST; head is the fixed part. */
void rtnl_begin(
	struct rtnl_request *r, unsigned type, unsigned flags, const void *head, size_t head_len);
/* data NULL: an empty one */
void rtnl_put(struct rtnl_request *r, unsigned type, const void *data, size_t len);

/* Has it done: 0, or what the kernel says, a negative errno. */
int rtnl_do(struct rtnl_request *r);

/* One answer; 0, or a negative errno that ends it. */
typedef int rtnl_fn(void *arg, const struct nlmsghdr *answer);

/* The answers: to one question, or (NLM_F_DUMP) a list. 0 or a negative errno. */
int rtnl_ask(struct rtnl_request *r, rtnl_fn *fn, void *arg);

/* Walks a buffer of answers. 1: more to come, 0: that was all, or negative. */
int rtnl_parse(const void *data, size_t len, rtnl_fn *fn, void *arg);

#endif
