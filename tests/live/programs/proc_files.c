/*
 * Files of /proc that are open: of the task itself, of a live child, of the system; afterwards they
 * tell about the right task.
 * PROVES: F118
 */
#include "check.h"

static int number(int fd, const char *label)
{
	char buf[4096], *p;
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	NEED(n > 0);
	buf[n] = 0;
	p = strstr(buf, label);
	NEED(p);
	return atoi(p + strlen(label));
}

static void child(void *unused)
{
	(void)unused;
	child_park();
	await("checked");
}

int main(int argc, char **argv)
{
	char path[64], buf[256];
	struct stat st;

	setup(argc, argv);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	int own = open("/proc/self/status", O_RDONLY), kid = open(path, O_RDONLY),
	    cmdline = open("/proc/self/cmdline", O_RDONLY), uptime = open("/proc/uptime", O_RDONLY),
	    ns = open("/proc/self/ns", O_RDONLY | O_DIRECTORY), proc = open("/proc", O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	int kid_fds = open(path, O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", getpid());
	int comm = open(path, O_RDWR);
	NEED(own >= 0 && kid >= 0 && cmdline >= 0 && uptime >= 0 && ns >= 0 && proc >= 0 &&
		kid_fds >= 0 && comm >= 0);
	NEED(read(cmdline, buf, 3) == 3);
	park();
	SAME(number(own, "\nPid:\t"), getpid());
	SAME(number(kid, "\nPid:\t"), pid);
	SAME(number(kid, "\nPPid:\t"), getpid());
	SAME(lseek(cmdline, 0, SEEK_CUR), 3);
	NEED(pread(cmdline, buf, 200, 0) > 0 && !strcmp(buf, argv[0]));
	NEED(pread(uptime, buf, 10, 0) > 0 && buf[0] >= '0' && buf[0] <= '9');
	NEED(!fstatat(ns, "pid", &st, 0) && !fstatat(proc, "self/status", &st, 0));
	NEED(!fstatat(kid_fds, "0", &st, 0));
	NEED(write(comm, "renamed", 7) == 7 && !prctl(PR_GET_NAME, buf) && !strcmp(buf, "renamed"));
	say("checked", "");
	need_exit(pid, 0);
	ok();
}
