/*
 * Regular files: path, position, access mode, all flags, close-on-exec; contents untouched by the
 * dump; a file shorter than its position; write-only and read-only ends work as before.
 * PROVES: F095 F100
 */
#include "check.h"

static const struct {
	int flags;
	off_t pos;
} kind[] = {
	{O_RDONLY, 0},
	{O_RDWR, 4},
	{O_WRONLY, 7},
	{O_RDONLY, 1000000},
	{O_RDWR | O_APPEND, 3},
	{O_WRONLY | O_APPEND, 10},
	{O_RDWR | O_NONBLOCK, 1},
	{O_RDWR | O_SYNC, 2},
	{O_RDWR | O_DSYNC, 5},
	{O_RDONLY | O_DIRECT, 0},
	{O_RDONLY | O_NOATIME, 6},
	{O_RDONLY | O_CLOEXEC, 8},
	{O_RDWR | O_CLOEXEC | O_APPEND | O_NONBLOCK, 9},
	{O_RDWR | O_ASYNC, 2},
	{O_RDONLY | O_NOFOLLOW, 2},
	{O_RDWR | O_LARGEFILE, 5L << 32},
};
enum { KINDS = sizeof(kind) / sizeof(kind[0]) };

int main(int argc, char **argv)
{
	int fd[KINDS], status[KINDS];
	char buf[32], name[16];
	struct stat before[KINDS], after;

	setup(argc, argv);
	for (int i = 0; i < KINDS; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		int f = open(in_dir(name), O_CREAT | O_WRONLY, 0600 + i);
		NEED(f >= 0 && write(f, "0123456789", 10) == 10 && !fchmod(f, 0600 + i));
		close(f);
		fd[i] = open(in_dir(name), kind[i].flags & ~O_ASYNC);
		if (fd[i] < 0 && kind[i].flags & O_DIRECT)
			fd[i] = open(in_dir(name), O_RDONLY);
		NEED(fd[i] >= 0 && lseek(fd[i], kind[i].pos, SEEK_SET) == kind[i].pos);
		if (kind[i].flags & O_ASYNC)
			fcntl(fd[i], F_SETFL, fcntl(fd[i], F_GETFL) | O_ASYNC);
		status[i] = fcntl(fd[i], F_GETFL);
		NEED(!fstat(fd[i], &before[i]));
	}
	park();
	for (int i = 0; i < KINDS; i++) {
		if (fcntl(fd[i], F_GETFL) != status[i])
			bad("fd %d: flags %#o, not %#o", fd[i], fcntl(fd[i], F_GETFL), status[i]);
		SAME(fcntl(fd[i], F_GETFD), kind[i].flags & O_CLOEXEC ? FD_CLOEXEC : 0);
		SAME(lseek(fd[i], 0, SEEK_CUR), kind[i].pos);
		NEED(!fstat(fd[i], &after));
		SAME(after.st_ino, before[i].st_ino);
		SAME(after.st_dev, before[i].st_dev);
		SAME(after.st_size, 10);
		SAME(after.st_mode, before[i].st_mode);
		SAME(after.st_mtim.tv_nsec, before[i].st_mtim.tv_nsec);
		SAME(after.st_mtim.tv_sec, before[i].st_mtim.tv_sec);
		/* Ways of the file that its flags promise. */
		int mode = kind[i].flags & O_ACCMODE;
		if (mode != O_WRONLY && !(kind[i].flags & O_DIRECT)) {
			ssize_t want = kind[i].pos < 10 ? 10 - kind[i].pos : 0;

			SAME(read(fd[i], buf, sizeof(buf)), want);
			NEED(!memcmp(buf, "0123456789" + (want ? kind[i].pos : 0), want));
		}
		if (mode == O_RDONLY)
			NEED(write(fd[i], "x", 1) == -1 && errno == EBADF);
		if (mode != O_RDONLY && kind[i].flags & O_APPEND) {
			NEED(write(fd[i], "ab", 2) == 2 && lseek(fd[i], 0, SEEK_CUR) == 12);
		} else if (mode == O_WRONLY) {
			NEED(write(fd[i], "Z", 1) == 1 &&
				lseek(fd[i], 0, SEEK_CUR) == kind[i].pos + 1);
			NEED(read(fd[i], buf, 1) == -1 && errno == EBADF);
		}
	}
	ok();
}
