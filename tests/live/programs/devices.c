/*
 * Device nodes that are open: null, zero, full, random, urandom, and kmsg for writing only.
 * PROVES: F117 F116
 */
#include "check.h"

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		int flags;
	} kind[] = {{"/dev/null", O_RDWR}, {"/dev/zero", O_RDONLY | O_CLOEXEC},
		{"/dev/full", O_RDWR}, {"/dev/random", O_RDONLY | O_NONBLOCK},
		{"/dev/urandom", O_RDONLY}, {"/dev/kmsg", O_WRONLY}};
	enum { KINDS = sizeof(kind) / sizeof(kind[0]) };
	struct stat before[KINDS], now;
	int fd[KINDS], flags[KINDS];
	char buf[8];

	setup(argc, argv);
	for (int i = 0; i < KINDS; i++) {
		fd[i] = open(kind[i].path, kind[i].flags);
		if (fd[i] < 0)
			bad("open %s", kind[i].path);
		NEED(!fstat(fd[i], &before[i]));
		flags[i] = fcntl(fd[i], F_GETFL);
	}
	park();
	for (int i = 0; i < KINDS; i++) {
		NEED(!fstat(fd[i], &now));
		SAME(now.st_rdev, before[i].st_rdev);
		SAME(now.st_ino, before[i].st_ino);
		SAME(fcntl(fd[i], F_GETFL), flags[i]);
		SAME(fcntl(fd[i], F_GETFD), kind[i].flags & O_CLOEXEC ? FD_CLOEXEC : 0);
	}
	NEED(write(fd[0], "x", 1) == 1 && read(fd[0], buf, 1) == 0);
	NEED(read(fd[1], buf, 8) == 8 && !buf[0] && !buf[7]);
	NEED(write(fd[2], "x", 1) == -1 && errno == ENOSPC);
	NEED(read(fd[3], buf, 8) > 0 && read(fd[4], buf, 8) == 8);
	NEED(write(fd[5], "", 0) >= 0 && read(fd[5], buf, 1) == -1);
	ok();
}
