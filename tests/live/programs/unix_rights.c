/*
 * Files in queues of unix sockets (SCM_RIGHTS): of each type, held by tasks as well or by the queue
 * alone, twice in one message, many in one, in streams between bytes; sockets in queues of sockets,
 * one in its own, two in each other's, a listener, an end whose peer is in the queue, too; an
 * epoll set that only the queue holds; credentials (SCM_CREDENTIALS) of living and dead senders.
 * PROVES: F151 F152 F140
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "rights.h"

static int take_one(int from, const char *text)
{
	int fds[MAX];

	SAME(take(from, text, fds, NULL), 1);
	return fds[0];
}

static int files[2], nested[2], inner[2], in_itself[2], each_a[2], each_b[2], creds[2], stream[2];
static int held_event, held_file;
static pid_t dead_pid;

/* Everything here is held by the queue alone, but for held_*. */
static void build_files(void)
{
	int fd, pair[2], many[MAX];

	held_file = open(in_dir("held"), O_CREAT | O_RDWR, 0600);
	NEED(held_file >= 0 && write(held_file, "0123456789", 10) == 10 &&
		lseek(held_file, 3, SEEK_SET) == 3);
	send_file(files[0], "held", held_file);
	fd = open(in_dir("lone"), O_CREAT | O_RDWR | O_APPEND, 0600);
	NEED(write(fd, "abcdef", 6) == 6 && lseek(fd, 2, SEEK_SET) == 2);
	send_file(files[0], "lone", fd);
	close(fd);
	fd = open(in_dir("ghost"), O_CREAT | O_RDWR, 0600);
	NEED(write(fd, "boo", 3) == 3 && !unlink(in_dir("ghost")));
	send_file(files[0], "ghost", fd);
	close(fd);
	NEED(!pipe(pair) && write(pair[1], "in the pipe", 11) == 11);
	send_files(files[0], "pipe", pair, 2);
	close(pair[0]);
	close(pair[1]);
	held_event = eventfd(7, EFD_NONBLOCK);
	many[0] = many[1] = held_event;
	send_files(files[0], "twice", many, 2);
	fd = eventfd(5, EFD_NONBLOCK);
	for (int i = 0; i < MAX; i++)
		many[i] = i % 2 ? fd : held_event;
	send_files(files[0], "many", many, MAX);
	int epoll = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 99};
	NEED(!epoll_ctl(epoll, EPOLL_CTL_ADD, held_event, &e));
	send_file(files[0], "epoll", epoll);
	close(epoll);
	close(fd);
	fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec soon = {{0, 1000000}, {0, 1000000}};
	NEED(fd >= 0 && !timerfd_settime(fd, 0, &soon, NULL));
	send_file(files[0], "timer", fd);
	close(fd);
	fd = memfd_create("memory", 0);
	NEED(write(fd, "memory", 6) == 6);
	send_file(files[0], "memfd", fd);
	close(fd);
}

static void check_files(void)
{
	char buf[64];
	uint64_t count;
	int fds[MAX];
	struct epoll_event e;

	int fd = take_one(files[1], "held");
	NEED(read(fd, buf, 2) == 2 && !memcmp(buf, "34", 2));
	SAME(lseek(held_file, 0, SEEK_CUR), 5);
	fd = take_one(files[1], "lone");
	SAME(fcntl(fd, F_GETFL) & O_APPEND, O_APPEND);
	NEED(read(fd, buf, 9) == 4 && !memcmp(buf, "cdef", 4));
	fd = take_one(files[1], "ghost");
	NEED(pread(fd, buf, 9, 0) == 3 && !memcmp(buf, "boo", 3));
	SAME(take(files[1], "pipe", fds, NULL), 2);
	NEED(read(fds[0], buf, 64) == 11 && !memcmp(buf, "in the pipe", 11));
	close(fds[1]);
	NEED(read(fds[0], buf, 64) == 0); /* nobody else has the writing end */
	SAME(take(files[1], "twice", fds, NULL), 2);
	NEED(read(fds[0], &count, 8) == 8 && count == 7);
	NEED(read(fds[1], &count, 8) == -1 && errno == EAGAIN);
	SAME(take(files[1], "many", fds, NULL), MAX);
	NEED(read(fds[1], &count, 8) == 8 && count == 5);
	NEED(read(fds[3], &count, 8) == -1 && errno == EAGAIN);
	count = 3;
	NEED(write(fds[MAX - 1], &count, 8) == 8);
	fd = take_one(files[1], "epoll");
	NEED(epoll_wait(fd, &e, 1, 0) == 1 && e.data.u64 == 99);
	NEED(read(held_event, &count, 8) == 8 && count == 3);
	NEED(epoll_wait(fd, &e, 1, 0) == 0);
	fd = take_one(files[1], "timer");
	NEED(read(fd, &count, 8) == 8 && read(fd, &count, 8) == 8);
	fd = take_one(files[1], "memfd");
	NEED(pread(fd, buf, 9, 0) == 6 && !memcmp(buf, "memory", 6));
}

static int tcp_server;

static void build_tcp(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	NEED(!bind(l, (struct sockaddr *)&a, len) && !listen(l, 1));
	NEED(!getsockname(l, (struct sockaddr *)&a, &len));
	NEED(!connect(fd, (struct sockaddr *)&a, len));
	tcp_server = accept(l, NULL, NULL);
	NEED(tcp_server >= 0 && write(tcp_server, "over tcp", 8) == 8);
	send_file(nested[0], "tcp", fd);
	close(fd);
	close(l);
}

static void check_tcp(void)
{
	char buf[64];
	int fd = take_one(nested[1], "tcp");

	NEED(read(fd, buf, 64) == 8 && !memcmp(buf, "over tcp", 8));
	NEED(write(fd, "back", 4) == 4 && read(tcp_server, buf, 64) == 4);
}

static void build_sockets(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0listener"};
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 9;
	int l = socket(AF_UNIX, SOCK_STREAM, 0), pair[2];

	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, inner));
	send_file(inner[0], "deepest", held_event);
	send_file(nested[0], "inner", inner[1]); /* with something in its own queue */
	close(inner[1]);
	NEED(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	NEED(write(pair[0], "to myself", 9) == 9);
	send_files(nested[0], "both ends", pair, 2);
	close(pair[0]);
	close(pair[1]);
	NEED(!bind(l, (struct sockaddr *)&name, len) && !listen(l, 5));
	send_file(nested[0], "listener", l);
	close(l);
	send_file(in_itself[0], "self", in_itself[1]);
	send_file(each_a[0], "b", each_b[1]);
	send_file(each_b[0], "a", each_a[1]);
	close(each_b[1]);
	NEED(write(stream[0], "before", 6) == 6);
	send_file(stream[0], "with", held_event);
	NEED(write(stream[0], "after", 5) == 5);
	NEED(!shutdown(stream[0], SHUT_WR));
}

static void check_sockets(void)
{
	char buf[64];
	int fds[MAX];

	int fd = take_one(nested[1], "inner");
	NEED(write(inner[0], "more", 4) == 4);
	int event = take_one(fd, "deepest");
	NEED(!fcntl(event, F_SETFL, 0) && fcntl(held_event, F_GETFL) == O_RDWR);
	SAME(take(fd, "more", fds, NULL), 0);
	SAME(take(nested[1], "both ends", fds, NULL), 2);
	NEED(read(fds[1], buf, 64) == 9 && !memcmp(buf, "to myself", 9));
	fd = take_one(nested[1], "listener");
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0listener"};
	int c = socket(AF_UNIX, SOCK_STREAM, 0);
	NEED(!connect(c, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + 9));
	NEED(accept(fd, NULL, NULL) >= 0);
	fd = take_one(in_itself[1], "self");
	NEED(write(in_itself[0], "x", 1) == 1 && read(fd, buf, 1) == 1);
	fd = take_one(each_a[1], "b");
	fd = take_one(fd, "a");
	NEED(write(each_a[0], "round", 5) == 5);
	SAME(take(fd, "round", fds, NULL), 0);
	NEED(recv(stream[1], buf, 3, 0) == 3 && !memcmp(buf, "bef", 3)); /* no files yet */
	SAME(take(stream[1], "orewith", fds, NULL), 1);
	SAME(take(stream[1], "after", fds, NULL), 0);
	SAME(take(stream[1], "", fds, NULL), 0);
}

static void send_as(pid_t pid, uid_t uid, const char *text)
{
	struct ucred who = {pid, uid, 44};
	char control[CMSG_SPACE(sizeof(who))] = {0};
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *c = (struct cmsghdr *)control;

	*c = (struct cmsghdr){CMSG_LEN(sizeof(who)), SOL_SOCKET, SCM_CREDENTIALS};
	memcpy(CMSG_DATA(c), &who, sizeof(who));
	SAME(sendmsg(creds[0], &msg, 0), strlen(text));
}

static void dying(void *unused)
{
	(void)unused;
	send_as(getpid(), 0, "dead");
}

static void build_creds(void)
{
	int on = 1;

	NEED(write(creds[0], "none", 4) == 4);
	NEED(!setsockopt(creds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	NEED(write(creds[0], "plain", 5) == 5);
	send_as(getpid(), 33, "other user");
	send_as(getppid(), 0, "parent");
	dead_pid = spawn(dying, NULL);
	need_exit(dead_pid, 0);
}

static void need_creds(const char *text, pid_t pid, uid_t uid, gid_t gid)
{
	struct ucred who = {-1, -1, -1};
	int fds[MAX];

	SAME(take(creds[1], text, fds, &who), 0);
	SAME(who.pid, pid);
	SAME(who.uid, uid);
	SAME(who.gid, gid);
}

/* Sent before they were asked for: some kernels keep the sender all the same. */
static void check_old(void)
{
	struct ucred who = {-1, -1, -1};
	int fds[MAX];

	SAME(take(creds[1], "none", fds, &who), 0);
	NEED((who.pid == 0 && who.uid == 65534) || (who.pid == getpid() && who.uid == 0));
}

int main(int argc, char **argv)
{
	int *const pairs[] = {files, nested, in_itself, each_a, each_b, creds, stream};

	setup(argc, argv);
	pid_t parent = getppid();
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		NEED(!socketpair(
			AF_UNIX, pairs[i] == stream ? SOCK_STREAM : SOCK_DGRAM, 0, pairs[i]));
	build_files();
	build_sockets();
	build_tcp();
	build_creds();
	park();
	check_files();
	check_sockets();
	check_tcp();
	check_old();
	need_creds("plain", getpid(), 0, 0);
	need_creds("other user", getpid(), 33, 44);
	need_creds("parent", parent, 0, 44);
	need_creds("dead", dead_pid, 0, 44);
	ok();
}
