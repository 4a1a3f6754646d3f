/*
 * Who shares an open file with whom: dup, fork, a second open of the same file, a copy by pidfd
 * between tasks that are not related; kcmp tells the kernel's view, positions the user's.
 * PROVES: F096 F097 F048
 */
#include "check.h"
#include <linux/kcmp.h>

static int file, twin, other;

static bool same_file(pid_t a, int fd_a, pid_t b, int fd_b)
{
	long n = syscall(SYS_kcmp, a, b, KCMP_FILE, fd_a, fd_b);

	NEED(n >= 0);
	return n == 0;
}

static void child(void *unused)
{
	pid_t parent = getppid();
	int own;

	(void)unused;
	close(twin);
	NEED(dup2(file, 40) == 40 && (own = open(in_dir("file"), O_RDWR)) >= 0);
	NEED(fcntl(40, F_SETFD, FD_CLOEXEC) == 0);
	lseek(own, 2, SEEK_SET);
	child_park();
	NEED(same_file(getpid(), file, parent, file) && same_file(getpid(), 40, parent, file));
	NEED(!same_file(getpid(), own, parent, file) && !same_file(getpid(), own, parent, other));
	NEED(same_file(getpid(), other, parent, other));
	SAME(fcntl(40, F_GETFD), FD_CLOEXEC);
	SAME(fcntl(file, F_GETFD), 0);
	SAME(lseek(own, 0, SEEK_CUR), 2);
	SAME(lseek(40, 100, SEEK_SET), 100);
	NEED(fcntl(file, F_SETFL, O_APPEND) == 0);
}

/* Took a copy of the parent's descriptor after the fork, past its relatives. */
static void stranger(void *unused)
{
	pid_t parent = getppid();
	int pidfd = syscall(SYS_pidfd_open, parent, 0), copy;

	(void)unused;
	close(file);
	close(other);
	NEED(pidfd >= 0 && (copy = syscall(SYS_pidfd_getfd, pidfd, file, 0)) >= 0);
	close(pidfd);
	child_park();
	NEED(same_file(getpid(), copy, parent, file));
	await("moved");
	SAME(lseek(copy, 0, SEEK_CUR), 100);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	say("file", "0123456789");
	file = open(in_dir("file"), O_RDWR);
	other = open(in_dir("file"), O_RDWR);
	twin = dup(file);
	NEED(file >= 0 && other >= 0 && twin >= 0 && lseek(file, 6, SEEK_SET) == 6);
	pid_t a = spawn(child, NULL), b = spawn(stranger, NULL);
	await_child(a);
	await_child(b);
	park();
	need_exit(a, 0);
	SAME(lseek(file, 0, SEEK_CUR), 100);
	SAME(lseek(twin, 0, SEEK_CUR), 100);
	SAME(lseek(other, 0, SEEK_CUR), 0);
	NEED(fcntl(twin, F_GETFL) & O_APPEND && !(fcntl(other, F_GETFL) & O_APPEND));
	NEED(same_file(getpid(), file, getpid(), twin) &&
		!same_file(getpid(), file, getpid(), other));
	say("moved", "");
	need_exit(b, 0);
	ok();
}
