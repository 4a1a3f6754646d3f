/*
 * Into repair mode and out of it.
 *
 * TCP_REPAIR forces SO_REUSEADDR and leaving it clears that, so the old value has to be carried
 * along.  In the kernel the mode belongs to the socket, not to a descriptor: it stays until it is
 * switched off or the last descriptor is closed, which then sends nothing.
 */
#include "internal.h"

static int set_reuse(int fd, int reuseaddr)
{
	if (!reuseaddr)
		return 0; /* as the kernel left it */
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuseaddr, sizeof(reuseaddr)) < 0 ? -errno
											   : 0;
}

static int set_repair(int fd, int value)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &value, sizeof(value)) < 0 ? -errno : 0;
}

int fermata_tcp_pause(int fd)
{
	int reuse = 0;
	socklen_t len = sizeof(reuse);
	if (getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, &len) < 0)
		return -errno;
	int r = set_repair(fd, TCP_REPAIR_ON);
	return r < 0 ? r : reuse != 0;
}

/*
 * Only an established socket probes the window by itself. In the other states that still send,
 * data would wait for a timer: an option that pushes out what may go, and changes nothing else.
 */
static void push(int fd)
{
	int cork = 0;
	socklen_t len = sizeof(cork);
	if (getsockopt(fd, IPPROTO_TCP, TCP_CORK, &cork, &len) == 0 && !cork)
		setsockopt(fd, IPPROTO_TCP, TCP_CORK, &cork, sizeof(cork));
}

int fermata_tcp_resume(int fd, int reuseaddr)
{
	int r = set_repair(fd, TCP_REPAIR_OFF);
	if (r < 0)
		return r;
	push(fd);
	return set_reuse(fd, reuseaddr);
}

int fermata_tcp_unpause(int fd, int reuseaddr)
{
	int r = set_repair(fd, TCP_REPAIR_OFF_NO_WP);
	return r < 0 ? r : set_reuse(fd, reuseaddr);
}
