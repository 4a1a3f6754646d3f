/*
 * Directories: one being read goes on in the middle and shows every name once; one serves as base
 * for openat and fchdir.
 * PROVES: F095
 */
#include "check.h"
#include <dirent.h>

enum { FILES = 300 };

static int seen[FILES];

static int read_some(int fd, size_t size)
{
	char buf[8192];
	long n = syscall(SYS_getdents64, fd, buf, size);
	int index;

	NEED(n >= 0);
	for (long at = 0; at < n;) {
		struct dirent64 *d = (void *)(buf + at);

		if (sscanf(d->d_name, "f%d", &index) == 1)
			seen[index]++;
		at += d->d_reclen;
	}
	return n;
}

int main(int argc, char **argv)
{
	char name[32];

	setup(argc, argv);
	NEED(!mkdir(in_dir("dir"), 0755));
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "dir/f%d", i);
		close(open(in_dir(name), O_CREAT | O_WRONLY, 0600));
	}
	int fd = open(in_dir("dir"), O_RDONLY | O_DIRECTORY), base = open(in_dir("dir"), O_RDONLY);
	NEED(fd >= 0 && base >= 0 && read_some(fd, 2048) > 0);
	off_t at = lseek(fd, 0, SEEK_CUR);
	park();
	SAME(lseek(fd, 0, SEEK_CUR), at);
	while (read_some(fd, 8192) > 0)
		;
	for (int i = 0; i < FILES; i++)
		SAME(seen[i], 1);
	int inside = openat(base, "f7", O_RDONLY);
	NEED(inside >= 0 && !fchdir(base) && !access("f8", F_OK));
	ok();
}
