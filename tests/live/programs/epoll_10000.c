/*
 * An epoll set of 10,000 event counters, level-triggered; two of them have swapped their numbers,
 * one is edge-triggered, one has lost its number.
 * VARIANTS: plain cycles leave_running child
 * PROVES: F197 F198
 * TIMEOUT: 40
 */
#include "check.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

enum { COUNT = 10000 };

static int fds[COUNT], set;

static void need_event(int fd, uint64_t data)
{
	struct epoll_event e[2];
	uint64_t one = 1;

	NEED(write(fd, &one, 8) == 8);
	SAME(epoll_wait(set, e, 2, 0), 1);
	SAME(e[0].data.u64, data);
	NEED(read(fd, &one, 8) == 8);
}

int main(int argc, char **argv)
{
	struct rlimit limit;

	setup(argc, argv);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < COUNT + 100)
		skip("not enough descriptors");
	set = epoll_create1(0);
	for (int i = 0; i < COUNT; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.u64 = i * 3};
		if (i == 7000)
			e.events |= EPOLLET;
		fds[i] = eventfd(0, EFD_NONBLOCK);
		NEED(fds[i] >= 0 && !epoll_ctl(set, EPOLL_CTL_ADD, fds[i], &e));
	}
	int spare = dup(fds[100]);
	NEED(dup2(fds[9000], fds[100]) == fds[100] && dup2(spare, fds[9000]) == fds[9000]);
	close(fds[5000]);
	fds[5000] = fcntl(spare, F_DUPFD, 0);
	NEED(!close(spare));
	park();
	struct epoll_event e;
	SAME(epoll_wait(set, &e, 1, 0), 0);
	for (int i = 0; i < COUNT; i++)
		if (i == 100)
			need_event(fds[i], 9000 * 3);
		else if (i == 9000 || i == 5000)
			need_event(fds[i], 100 * 3);
		else
			need_event(fds[i], i * 3);
	ok();
}
