/*
 * A signal with a handler is pending when its task is dumped, unblocked, in a call that it ends:
 * the handler runs and the call says EINTR.  The signal comes while the task is stopped by SIGSTOP,
 * so that it cannot be taken before.
 * PROVES: F006
 * VARIANTS: scenario
 */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>

static volatile int caught;

static void on_signal(int signo)
{
	(void)signo;
	caught++;
}

static void *in_thread(void *unused)
{
	SAME(pause(), -1);
	SAME(errno, EINTR);
	SAME(caught, 1);
	return unused;
}

static int wait_for_thread(void)
{
	pthread_t t;

	NEED(!pthread_create(&t, NULL, in_thread, NULL));
	NEED(!pthread_join(t, NULL));
	errno = EINTR;
	return -1;
}

int main(int argc, char **argv)
{
	struct epoll_event e;
	int r, fd = epoll_create1(EPOLL_CLOEXEC);

	setup(argc, argv);
	signal(SIGUSR1, on_signal); /* SA_RESTART */
	ready();
	if (!strcmp(argv[2], "thread"))
		r = wait_for_thread();
	else if (!strcmp(argv[2], "pause"))
		r = pause();
	else if (!strcmp(argv[2], "poll"))
		r = poll(NULL, 0, 100000);
	else
		r = epoll_wait(fd, &e, 1, -1);
	SAME(r, -1);
	SAME(errno, EINTR);
	SAME(caught, 1);
	ok();
}
