/*
 * netlink_odd DIR: a netlink socket with an answer that was not read yet; it is still there after
 * the dump was refused.
 * VARIANTS: scenario
 */
#include "check.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} request = {{sizeof(request), RTM_GETLINK, NLM_F_REQUEST, 7, 0}, {.ifi_index = 1}};
	char answer[8192];

	setup(argc, argv);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	NEED(fd >= 0);
	SAME(send(fd, &request, sizeof(request), 0), sizeof(request));
	park();
	NEED(recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0);
	SAME(((struct nlmsghdr *)answer)->nlmsg_seq, 7);
	ok();
}
