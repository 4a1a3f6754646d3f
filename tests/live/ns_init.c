/*
 * ns_init CMD ARG...: run CMD in PID, mount, network and IPC namespaces of its own.
 *
 * The process with PID 1 in there reaps orphans at once (the machine's own init may take a
 * second), ends as soon as CMD does, and by ending kills whatever CMD left behind. If ns_init
 * itself is killed, everything inside goes too. The loopback device is up, so ports, abstract names
 * and SysV keys are nobody else's, nor are pseudo terminals. Exit status: that of CMD, 128+N for signal N.
 */
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	_exit(125);
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void raise_loopback(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	need(fd >= 0, "socket");
	need(!ioctl(fd, SIOCSIFFLAGS, &lo), "raise the loopback device");
	close(fd);
}

static int init(char **argv)
{
	int status;
	pid_t child, pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	need(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / private");
	need(!mount("proc", "/proc", "proc", 0, NULL), "mount /proc");
	/* pseudo terminal numbers of our own; /dev/ptmx leads to what is mounted beside it */
	need(!mount("devpts", "/dev/pts", "devpts", 0, "mode=620,ptmxmode=666"), "mount /dev/pts");
	raise_loopback();
	child = fork();
	need(child >= 0, "fork");
	if (child == 0) {
		/* A session that exists inside, for tests of jobs that are no session leaders. */
		setsid();
		execvp(argv[0], argv);
		need(0, argv[0]);
	}
	while ((pid = wait(&status)) != child)
		need(pid > 0, "wait");
	return status_of(status);
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	if (argc < 2)
		return 2;
	need(!unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC), "unshare");
	pid = fork();
	need(pid >= 0, "fork");
	if (pid == 0)
		_exit(init(argv + 1));
	need(waitpid(pid, &status, 0) == pid, "waitpid");
	return status_of(status);
}
