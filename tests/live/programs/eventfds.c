/*
 * Event counters: values beyond 32 bits, a full one, semaphores, flags, one shared by dup and with
 * a child, an owner for its signals.
 * PROVES: F200 F131
 */
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

static int shared;

static void child(void *unused)
{
	uint64_t v = 0;

	(void)unused;
	child_park();
	NEED(read(shared, &v, 8) == 8);
	SAME(v, 5);
}

static void put(int fd, uint64_t v)
{
	NEED(write(fd, &v, 8) == 8);
}

static uint64_t get(int fd)
{
	uint64_t v = 0;

	NEED(read(fd, &v, 8) == 8);
	return v;
}

int main(int argc, char **argv)
{
	struct f_owner_ex owner = {.type = F_OWNER_PID, .pid = getpid()};
	struct pollfd p;
	uint64_t one = 1;

	setup(argc, argv);
	int zero = eventfd(0, EFD_NONBLOCK), large = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int full = eventfd(0, EFD_NONBLOCK), semaphore = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
	int blocking = eventfd(41, 0);

	shared = eventfd(5, 0);
	NEED(zero >= 0 && large >= 0 && full >= 0 && semaphore >= 0 && blocking >= 0 && shared >= 0);
	put(large, 0x123456789abcdefULL);
	put(full, UINT64_MAX - 1);
	NEED(dup2(blocking, 700) == 700);
	NEED(!fcntl(zero, F_SETSIG, SIGUSR2) && !fcntl(zero, F_SETOWN_EX, &owner));
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	need_exit(pid, 0);
	p = (struct pollfd){.fd = shared, .events = POLLIN | POLLOUT};
	SAME(poll(&p, 1, 0), 1);
	SAME(p.revents, POLLOUT); /* the child took it */
	NEED(read(zero, &one, 8) == -1 && errno == EAGAIN);
	SAME(get(large), 0x123456789abcdefULL);
	NEED(read(large, &one, 8) == -1 && errno == EAGAIN);
	one = 1;
	NEED(write(full, &one, 8) == -1 && errno == EAGAIN);
	SAME(get(full), UINT64_MAX - 1);
	for (int i = 0; i < 3; i++)
		SAME(get(semaphore), 1);
	NEED(read(semaphore, &one, 8) == -1 && errno == EAGAIN);
	SAME(fcntl(blocking, F_GETFL), O_RDWR);
	SAME(fcntl(large, F_GETFL), O_RDWR | O_NONBLOCK);
	SAME(fcntl(large, F_GETFD), FD_CLOEXEC);
	SAME(get(700), 41);
	put(blocking, 2);
	SAME(get(700), 2);
	SAME(fcntl(zero, F_GETSIG), SIGUSR2);
	NEED(!fcntl(zero, F_GETOWN_EX, &owner));
	SAME(owner.pid, getpid());
	ok();
}
