/*
 * Threads that wait in every kind of call that a stop can interrupt, with and without a timeout,
 * and are never signalled: none of them ever hears of an interruption, none ends before its time.
 * PROVES: F004 F027
 * VARIANTS: scenario
 */
#include "race.h"
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/select.h>
#include <sys/socket.h>

enum { WAIT_MS = 20, WAIT_NS = WAIT_MS * 1000000 };

static const struct timespec wait_ts = {.tv_nsec = WAIT_NS};
static sigset_t usr1;
static bool may_be_stopped;

/* Each returns what the call returned; `err` tells what of errno it must be. */

static int t_nanosleep(void)
{
	return nanosleep(&wait_ts, NULL);
}

static int t_clock_nanosleep(void)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAIT_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int t_poll(void)
{
	return poll(NULL, 0, WAIT_MS);
}

static int t_ppoll(void)
{
	return ppoll(NULL, 0, &wait_ts, &usr1);
}

static int t_select(void)
{
	struct timeval t = {.tv_usec = WAIT_MS * 1000};

	return select(0, NULL, NULL, NULL, &t);
}

static int t_epoll(void)
{
	static __thread int fd;
	struct epoll_event e;

	fd = fd ? fd : epoll_create1(EPOLL_CLOEXEC);
	return epoll_wait(fd, &e, 1, WAIT_MS);
}

static int t_epoll_pwait(void)
{
	static __thread int fd;
	struct epoll_event e;

	fd = fd ? fd : epoll_create1(EPOLL_CLOEXEC);
	return epoll_pwait(fd, &e, 1, WAIT_MS, &usr1);
}

static int t_sigtimedwait(void)
{
	return sigtimedwait(&usr1, NULL, &wait_ts);
}

static int t_semtimedop(void)
{
	static __thread int id = -1;
	struct sembuf op = {.sem_op = -1};

	if (id < 0) {
		id = semget(IPC_PRIVATE, 1, 0600);
		NEED(id >= 0);
	}
	return semtimedop(id, &op, 1, &wait_ts);
}

static int t_futex(void)
{
	static uint32_t word;

	return (int)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &wait_ts, NULL, 0);
}

static int socket_with_timeout(int type)
{
	struct timeval t = {.tv_usec = WAIT_MS * 1000};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	NEED(fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof(a)));
	NEED(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	return fd;
}

static int t_recv(void)
{
	static __thread int fd;
	char c;

	fd = fd ? fd : socket_with_timeout(SOCK_DGRAM);
	return (int)recv(fd, &c, 1, 0);
}

static int t_accept(void)
{
	static __thread int fd;

	if (!fd) {
		fd = socket_with_timeout(SOCK_STREAM);
		NEED(!listen(fd, 1));
	}
	return accept(fd, NULL, NULL);
}

static int t_unix_read(void)
{
	static __thread int fd[2];
	struct timeval t = {.tv_usec = WAIT_MS * 1000};
	char c;

	if (!fd[0]) {
		NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
		NEED(!setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	}
	return (int)read(fd[0], &c, 1);
}

static int t_aio(void)
{
	static __thread aio_context_t ctx;
	struct io_event e;
	struct timespec t = wait_ts;

	if (!ctx)
		NEED(!syscall(SYS_io_setup, 1, &ctx));
	return (int)syscall(SYS_io_getevents, ctx, 1, 1, &e, &t);
}

/* Without a timeout, woken by another thread. */

static int wake_pipe[2], wake_event, wake_epoll, wake_sem, wake_msg, wake_dgram[2];

static int t_pipe(void)
{
	char c;

	return (int)read(wake_pipe[0], &c, 1) - 1;
}

static int t_event(void)
{
	uint64_t v;

	return (int)read(wake_event, &v, sizeof(v)) - 8;
}

static int t_epoll_for_ever(void)
{
	struct epoll_event e;
	uint64_t v;
	int r = epoll_wait(wake_epoll, &e, 1, -1);

	if (r != 1)
		return r;
	return (int)read(e.data.fd, &v, sizeof(v)) - 8;
}

static int t_semop(void)
{
	struct sembuf op = {.sem_op = -1};

	return semop(wake_sem, &op, 1);
}

static int t_msgrcv(void)
{
	struct {
		long type;
		char c;
	} m;

	return (int)msgrcv(wake_msg, &m, 1, 0, 0) - 1;
}

static int t_dgram(void)
{
	char c;

	return (int)recv(wake_dgram[0], &c, 1, 0) - 1;
}

static int epoll_event_fd;

static void *waker(void *arg)
{
	struct {
		long type;
		char c;
	} m = {1, 'm'};
	struct sembuf op = {.sem_op = 1};
	uint64_t one = 1;

	while (racing()) {
		SAME(write(wake_pipe[1], "p", 1), 1);
		SAME(write(wake_event, &one, 8), 8);
		SAME(write(epoll_event_fd, &one, 8), 8);
		NEED(!semop(wake_sem, &op, 1));
		NEED(!msgsnd(wake_msg, &m, 1, 0));
		SAME(send(wake_dgram[1], "d", 1, 0), 1);
		nap_ms(15);
		race_beat((long)arg);
	}
	SAME(write(wake_pipe[1], "p", 1), 1);
	SAME(write(wake_event, &one, 8), 8);
	SAME(write(epoll_event_fd, &one, 8), 8);
	NEED(!semop(wake_sem, &op, 1));
	NEED(!msgsnd(wake_msg, &m, 1, 0));
	SAME(send(wake_dgram[1], "d", 1, 0), 1);
	return NULL;
}

static void make_wakers(void)
{
	struct epoll_event e = {.events = EPOLLIN};

	NEED(!pipe2(wake_pipe, O_CLOEXEC));
	wake_event = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	epoll_event_fd = e.data.fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	wake_epoll = epoll_create1(EPOLL_CLOEXEC);
	NEED(!epoll_ctl(wake_epoll, EPOLL_CTL_ADD, e.data.fd, &e));
	wake_sem = semget(IPC_PRIVATE, 1, 0600);
	wake_msg = msgget(IPC_PRIVATE, 0600);
	NEED(wake_sem >= 0 && wake_msg >= 0);
	NEED(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, wake_dgram));
}

static const struct kind {
	const char *name;
	int (*call)(void);
	int err; /* 0: it returns 0 */
	bool timed;
} kinds[] = {
	{"nanosleep", t_nanosleep, 0, true},
	{"clock_nanosleep", t_clock_nanosleep, 0, true},
	{"poll", t_poll, 0, true},
	{"ppoll", t_ppoll, 0, true},
	{"select", t_select, 0, true},
	{"epoll_wait", t_epoll, 0, true},
	{"epoll_pwait", t_epoll_pwait, 0, true},
	{"sigtimedwait", t_sigtimedwait, EAGAIN, true},
	{"semtimedop", t_semtimedop, EAGAIN, true},
	{"futex", t_futex, ETIMEDOUT, true},
	{"recv", t_recv, EAGAIN, true},
	{"accept", t_accept, EAGAIN, true},
	{"read", t_unix_read, EAGAIN, true},
	{"io_getevents", t_aio, 0, true},
	{"pipe", t_pipe, 0, false},
	{"eventfd", t_event, 0, false},
	{"epoll", t_epoll_for_ever, 0, false},
	{"semop", t_semop, 0, false},
	{"msgrcv", t_msgrcv, 0, false},
	{"dgram", t_dgram, 0, false},
};
enum { N = sizeof(kinds) / sizeof(kinds[0]) };

static void *wait_in(void *arg)
{
	const struct kind *k = &kinds[(long)arg >> 8];

	while (racing()) {
		uint64_t start = clock_ns(CLOCK_MONOTONIC);

		errno = 0;
		int r = k->call();
		if (r == -1 && errno == EINTR && may_be_stopped)
			continue; /* signal(7) has a list of those that say so after a SIGCONT */
		if (k->err ? r != -1 || errno != k->err : r != 0)
			bad("%s returned %d", k->name, r);
		if (k->timed && clock_ns(CLOCK_MONOTONIC) - start < WAIT_NS - 1000000)
			bad("%s returned after %lu us", k->name,
				(clock_ns(CLOCK_MONOTONIC) - start) / 1000);
		race_beat((long)arg & 0xff);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[N], w;

	race_setup(argc, argv);
	may_be_stopped = argc > 2;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	NEED(!sigprocmask(SIG_BLOCK, &usr1, NULL));
	make_wakers();
	for (long i = 0; i < N; i++)
		t[i] = race_thread(wait_in, i << 8 | race_join());
	w = race_thread(waker, race_join());
	race_ready();
	for (int i = 0; i < N; i++)
		NEED(!pthread_join(t[i], NULL));
	NEED(!pthread_join(w, NULL));
	ok();
}
