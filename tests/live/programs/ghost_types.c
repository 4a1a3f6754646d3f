/*
 * Things without a name that are no files: directory, device node, FIFO, symbolic link; each comes
 * back as what it was.
 * PROVES: F104 F116
 */
#include "check.h"
#include <sys/sysmacros.h>

enum { KINDS = 5 };

int main(int argc, char **argv)
{
	static const char *const name[KINDS] = {"dir", "zero", "fifo", "link", "far"};
	struct stat before[KINDS], now;
	char buf[32];
	int fd[KINDS];

	setup(argc, argv);
	NEED(!mkdir(in_dir("dir"), 0711) && !mknod(in_dir("zero"), S_IFCHR | 0640, makedev(1, 5)));
	NEED(!mkfifo(in_dir("fifo"), 0604) && !symlink("to nothing", in_dir("link")));
	NEED(!mknod(in_dir("far"), S_IFCHR | 0600, makedev(1, 70000)));
	fd[0] = open(in_dir("dir"), O_RDONLY | O_DIRECTORY);
	fd[1] = open(in_dir("zero"), O_RDONLY);
	fd[2] = open(in_dir("fifo"), O_RDWR);
	fd[3] = open(in_dir("link"), O_PATH | O_NOFOLLOW);
	fd[4] = open(in_dir("far"), O_PATH);
	NEED(!rmdir(in_dir("dir")));
	for (int i = 1; i < KINDS; i++)
		NEED(!unlink(in_dir(name[i])));
	for (int i = 0; i < KINDS; i++)
		NEED(fd[i] >= 0 && !fstat(fd[i], &before[i]));
	park();
	for (int i = 0; i < KINDS; i++) {
		NEED(!fstat(fd[i], &now));
		SAME(now.st_mode, before[i].st_mode);
		SAME(now.st_rdev, before[i].st_rdev);
		SAME(now.st_nlink, 0);
		NEED(!exists(name[i]));
	}
	NEED(openat(fd[0], "x", O_CREAT | O_WRONLY, 0600) == -1 && errno == ENOENT);
	NEED(read(fd[1], buf, 8) == 8 && !buf[0] && !buf[7]);
	NEED(write(fd[2], "through", 7) == 7 && read(fd[2], buf, 32) == 7);
	SAME(readlinkat(fd[3], "", buf, sizeof(buf)), 10);
	NEED(!memcmp(buf, "to nothing", 10));
	ok();
}
