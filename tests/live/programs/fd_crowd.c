/*
 * Thousands of open files of one inode, all at the same position, so that nothing but the kernel
 * tells them apart: many have a second number, in the same table, in that of a child of thousands
 * and of one of a few, and one is in the queue of a socket. Positions tell who shares with whom.
 * PROVES: F096 F097 F125
 */
#include "check.h"
#include <sys/resource.h>
#include <sys/socket.h>

enum { FILES = 2600, OWN = 2300, FEW = 40, FIRST = 10, SECOND = 9000, MARK = 100000 };

static int queue[2];

static void open_at(int number)
{
	int fd = open(in_dir("file"), O_RDONLY);

	NEED(fd >= 0 && (fd == number || dup2(fd, number) == number));
	if (fd != number)
		close(fd);
}

static void send_fd(int fd)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	NEED(sendmsg(queue[0], &m, 0) == 1);
}

static int receive_fd(void)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	int fd;

	NEED(recvmsg(queue[1], &m, 0) == 1 && CMSG_FIRSTHDR(&m));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	return fd;
}

static long position(int fd)
{
	long at = lseek(fd, 0, SEEK_CUR);

	NEED(at >= 0);
	return at;
}

/* Has every fifth file of the parent under another number only, and `own` of its own. */
static void child(void *arg)
{
	int own = (int)(intptr_t)arg;

	for (int i = 0; i < FILES; i++) {
		if (i % 5 == 0)
			NEED(dup2(FIRST + i, SECOND + i) == SECOND + i);
		close(FIRST + i);
		close(FIRST + FILES + i);
	}
	for (int i = 0; i < own; i++)
		open_at(FIRST + i);
	child_park();
	await("marked");
	for (int i = 0; i < FILES; i += 5)
		SAME(position(SECOND + i), MARK + i);
	for (int i = 0; i < own; i++)
		SAME(position(FIRST + i), 0);
	for (int i = 0; i < own; i++)
		NEED(lseek(FIRST + i, i, SEEK_SET) == i);
	for (int i = 0; i < own; i++)
		SAME(position(FIRST + i), i);
}

int main(int argc, char **argv)
{
	struct rlimit limit = {20000, 20000};

	setup(argc, argv);
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_max < 20000)
		skip("RLIMIT_NOFILE is below 20000");
	limit.rlim_cur = 20000;
	NEED(!setrlimit(RLIMIT_NOFILE, &limit));
	say("file", "0123456789");
	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, queue));
	for (int i = 0; i < FILES; i++) {
		open_at(FIRST + i);
		if (i % 3 == 0)
			NEED(dup2(FIRST + i, FIRST + FILES + i) == FIRST + FILES + i);
	}
	send_fd(FIRST + 7);
	pid_t large = spawn(child, (void *)(intptr_t)OWN),
	      small = spawn(child, (void *)(intptr_t)FEW);
	await_child(large);
	await_child(small);
	park();
	for (int i = 0; i < FILES; i++)
		SAME(position(FIRST + i), 0);
	for (int i = 0; i < FILES; i++)
		NEED(lseek(FIRST + i, MARK + i, SEEK_SET) == MARK + i);
	for (int i = 0; i < FILES; i++) {
		SAME(position(FIRST + i), MARK + i);
		if (i % 3 == 0)
			SAME(position(FIRST + FILES + i), MARK + i);
	}
	SAME(position(receive_fd()), MARK + 7);
	say("marked", "");
	need_exit(large, 0);
	need_exit(small, 0);
	ok();
}
