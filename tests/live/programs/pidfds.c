/*
 * Pidfds: of the task itself, of a child, a grandchild, a zombie, of processes that are reaped
 * (two files of one of them), with their exit status where the kernel has it; in an epoll set.
 * PROVES: F197 F131
 */
#include "check.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

struct pidfd_info_0 {
	uint64_t mask, cgroup_id;
	uint32_t pid, tgid, ppid, uids_and_gids[8];
	int32_t exit_code;
};
#define GET_INFO _IOWR(0xff, 11, struct pidfd_info_0)

static pid_t *grandchild;

static int pidfd(pid_t pid, int flags)
{
	int fd = syscall(SYS_pidfd_open, pid, flags);

	NEED(fd >= 0);
	return fd;
}

static int target(int fd)
{
	char path[64], text[1024], *at;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	slurp(path, text, sizeof(text));
	NEED((at = strstr(text, "\nPid:\t")));
	return atoi(at + 6);
}

static int ready_events(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	NEED(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void idle_child(void *arg)
{
	if (arg) {
		*grandchild = spawn(idle_child, NULL);
		await_child(*grandchild);
	}
	child_park();
	pause();
}

/* What the kernel kept of a reaped process; -1: nothing. */
static int exit_status(int fd)
{
	struct pidfd_info_0 info = {.mask = 8};

	if (ioctl(fd, GET_INFO, &info) < 0 || !(info.mask & 8))
		return -1;
	return info.exit_code;
}

int main(int argc, char **argv)
{
	int status;

	setup(argc, argv);
	grandchild = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child = spawn(idle_child, grandchild);
	await_child(child);
	int self = pidfd(getpid(), 0), of_child = pidfd(child, O_NONBLOCK);
	int of_grandchild = pidfd(*grandchild, 0);
	NEED(dup2(of_child, 400) == 400);

	pid_t pid = fork();
	if (!pid)
		_exit(42);
	int reaped = pidfd(pid, 0), reaped_too = pidfd(pid, 0);
	NEED(waitpid(pid, &status, 0) == pid);
	pid = fork();
	if (!pid)
		pause();
	int killed = pidfd(pid, 0);
	NEED(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid);
	pid_t zombie = fork();
	if (!zombie)
		_exit(7);
	int of_zombie = pidfd(zombie, 0);
	while (ready_events(of_zombie) != POLLIN)
		nap_ms(1);

	int set = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 0x77};
	NEED(!epoll_ctl(set, EPOLL_CTL_ADD, of_child, &e));
	NEED(!fcntl(self, F_SETOWN, getpid()));
	int status_reaped = exit_status(reaped), status_killed = exit_status(killed);
	park();

	SAME(target(self), getpid());
	SAME(target(of_child), child);
	SAME(target(of_grandchild), *grandchild);
	SAME(target(of_zombie), zombie);
	SAME(target(reaped), -1);
	SAME(target(reaped_too), -1);
	SAME(target(killed), -1);
	struct stat a, b;
	NEED(!fstat(reaped, &a) && !fstat(reaped_too, &b));
	SAME(a.st_ino, b.st_ino);
	SAME(exit_status(reaped), status_reaped);
	SAME(exit_status(reaped_too), status_reaped);
	SAME(exit_status(killed), status_killed);
	SAME(fcntl(of_child, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	SAME(fcntl(self, F_GETFL) & O_NONBLOCK, 0);
	SAME(fcntl(self, F_GETOWN), getpid());
	SAME(ready_events(self), 0);
	SAME(ready_events(400), 0);
	SAME(ready_events(of_zombie), POLLIN);
	SAME(ready_events(reaped) & POLLIN, POLLIN);
	NEED(syscall(SYS_pidfd_send_signal, reaped, 0, NULL, 0) == -1 && errno == ESRCH);
	siginfo_t info;
	NEED(!waitid(P_PIDFD, of_zombie, &info, WEXITED));
	SAME(info.si_status, 7);
	SAME(epoll_wait(set, &e, 1, 0), 0);
	NEED(!syscall(SYS_pidfd_send_signal, of_grandchild, SIGKILL, NULL, 0));
	NEED(!syscall(SYS_pidfd_send_signal, 400, SIGTERM, NULL, 0));
	SAME(epoll_wait(set, &e, 1, 5000), 1);
	SAME(e.data.u64, 0x77);
	NEED(!waitid(P_PIDFD, of_child, &info, WEXITED) && info.si_status == SIGTERM);
	ok();
}
