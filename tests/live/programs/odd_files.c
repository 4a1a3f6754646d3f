/*
 * Descriptors that cannot be dumped: "bpf-queue": a BPF map of another kind;
 * "queued-lock": a locked file that is only in the queue of a socket; with "held", by the task, too.
 * VARIANTS: scenario
 */
#include "check.h"

#include <linux/bpf.h>
#include <net/if.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static void send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	*c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	NEED(sendmsg(socket, &msg, 0) == 1);
}

static void make_queue(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_QUEUE, .value_size = 8, .max_entries = 4};

	if (syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)) < 0)
		skip("no BPF maps here");
}

static bool is_locked(void)
{
	int fd = open(in_dir("locked"), O_RDONLY);
	bool locked = flock(fd, LOCK_SH | LOCK_NB) < 0;

	close(fd);
	return locked;
}

int main(int argc, char **argv)
{
	int pair[2], fd = -1;

	setup(argc, argv);
	if (!strcmp(argv[2], "bpf-queue"))
		make_queue();
	else
		NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) &&
			(fd = open(in_dir("locked"), O_CREAT | O_RDWR, 0600)) >= 0 &&
			!flock(fd, LOCK_EX));
	if (!strcmp(argv[2], "queued-lock")) {
		send_fd(pair[1], fd);
		if (argc < 4)
			close(fd);
	}
	park();
	NEED(strcmp(argv[2], "queued-lock") || is_locked());
	ok();
}
