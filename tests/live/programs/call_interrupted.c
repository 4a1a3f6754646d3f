/*
 * A signal with a handler is pending when its task is dumped, unblocked, in a call that it ends:
 * the handler runs and the call says EINTR.  The signal comes while the task is stopped by SIGSTOP,
 * so that it cannot be taken before.  Or it comes to the restored task before that has run an instruction.
 * PROVES: F006
 * VARIANTS: scenario
 */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>

static volatile int caught;
static int ends[2];

static void on_signal(int signo)
{
	(void)signo;
	caught++;
	if (ends[1])
		SAME(write(ends[1], "x", 1), 1);
}

/* With SA_RESTART the call is made again, and gets what the handler wrote. */
static void read_again(void)
{
	char c;

	NEED(!pipe(ends));
	SAME(read(ends[0], &c, 1), 1);
	SAME(c, 'x');
	SAME(caught, 1);
	ok();
}

static int without_restart(const char *what)
{
	struct sigaction sa = {.sa_handler = on_signal};
	int pipe_ends[2];
	sem_t sem;
	char c;

	NEED(!sigaction(SIGUSR1, &sa, NULL));
	if (!strcmp(what, "sem")) {
		sem_init(&sem, 0, 0);
		return sem_wait(&sem);
	}
	if (!strcmp(what, "wait")) {
		pid_t child = fork();
		if (!child)
			for (;;)
				pause();
		int r = waitpid(child, NULL, 0), error = errno;
		kill(child, SIGKILL);
		errno = error;
		return r;
	}
	NEED(!pipe(pipe_ends));
	return (int)read(pipe_ends[0], &c, 1);
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
	else if (!strcmp(argv[2], "again"))
		read_again();
	else if (!strcmp(argv[2], "read") || !strcmp(argv[2], "sem") || !strcmp(argv[2], "wait"))
		r = without_restart(argv[2]);
	else if (!strcmp(argv[2], "sleep"))
		r = usleep(100000000);
	else if (!strcmp(argv[2], "poll"))
		r = poll(NULL, 0, 100000);
	else
		r = epoll_wait(fd, &e, 1, -1);
	SAME(r, -1);
	SAME(errno, EINTR);
	SAME(caught, 1);
	ok();
}
