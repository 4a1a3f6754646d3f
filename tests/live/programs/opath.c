/*
 * O_PATH descriptors of a file, a directory, a symbolic link, a FIFO and device nodes (one with a
 * large number): same object, same kind, still not for reading.
 * PROVES: F100 F116
 */
#include "check.h"
#include <sys/sysmacros.h>

enum { KINDS = 6 };

int main(int argc, char **argv)
{
	static const char *const name[KINDS] = {"file", "dir", "link", "fifo", "null", "far"};
	static const mode_t type[KINDS] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR, S_IFCHR};
	struct stat before[KINDS], after;
	char buf[64];
	int fd[KINDS];

	setup(argc, argv);
	say("file", "data");
	NEED(!mkdir(in_dir("dir"), 0700) && !symlink("no where", in_dir("link")));
	NEED(!mkfifo(in_dir("fifo"), 0600) &&
		!mknod(in_dir("null"), S_IFCHR | 0600, makedev(1, 3)));
	NEED(!mknod(in_dir("far"), S_IFCHR | 0600, makedev(1, 567890)));
	for (int i = 0; i < KINDS; i++) {
		fd[i] = open(in_dir(name[i]), O_PATH | O_NOFOLLOW | (i % 2 ? O_CLOEXEC : 0));
		NEED(fd[i] >= 0 && !fstat(fd[i], &before[i]));
	}
	park();
	for (int i = 0; i < KINDS; i++) {
		NEED(!fstat(fd[i], &after));
		SAME(after.st_mode & S_IFMT, type[i]);
		SAME(after.st_ino, before[i].st_ino);
		SAME(after.st_rdev, before[i].st_rdev);
		NEED(fcntl(fd[i], F_GETFL) & O_PATH);
		SAME(fcntl(fd[i], F_GETFD), i % 2 ? FD_CLOEXEC : 0);
		NEED(read(fd[i], buf, 1) == -1 && errno == EBADF);
	}
	SAME(readlinkat(fd[2], "", buf, sizeof(buf)), 8);
	NEED(!memcmp(buf, "no where", 8));
	SAME(major(after.st_rdev), 1);
	SAME(minor(after.st_rdev), 567890);
	ok();
}
