/*
 * Two tasks with hundreds of open files that nothing but their identity tells apart: one file, one
 * position, the same flags. Some have several descriptors, some the other task has too, under other
 * numbers. Moved one by one after the restore, each moves all of its own and no other.
 * PROVES: F096 F125
 */
#include "check.h"

enum { FILES = 300, COPIED = 60, CHILDS = 120 };

static int first[FILES], second[FILES], third[FILES];

static int open_file(void)
{
	int fd = open(in_dir("file"), O_RDWR);

	NEED(fd >= 0 && fd < 1000);
	return fd;
}

static void child(void *unused)
{
	int copies[COPIED], own[CHILDS], pidfd = syscall(SYS_pidfd_open, getppid(), 0);

	(void)unused;
	NEED(pidfd >= 0);
	for (int i = 0; i < FILES; i++) {
		close(second[i]);
		if (i % 2)
			close(first[i]);
	}
	for (int i = 0; i < CHILDS; i++) {
		own[i] = open_file();
		if (i < COPIED)
			copies[i] = syscall(SYS_pidfd_getfd, pidfd, second[2 * i + 1], 0);
		NEED(i >= COPIED || copies[i] >= 0);
	}
	close(pidfd);
	child_park();
	await("moved");
	for (int i = 0; i < COPIED; i++)
		SAME(lseek(copies[i], 0, SEEK_CUR), 2 * i + 2);
	for (int i = 0; i < FILES; i += 2)
		SAME(lseek(first[i], 0, SEEK_CUR), i + 1);
	for (int i = 0; i < CHILDS; i++) {
		SAME(lseek(own[i], 0, SEEK_CUR), 0);
		SAME(lseek(own[i], 1000 + i, SEEK_SET), 1000 + i);
	}
	for (int i = 0; i < CHILDS; i++)
		SAME(lseek(own[i], 0, SEEK_CUR), 1000 + i);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	say("file", "0123456789");
	for (int i = 0; i < FILES; i++)
		first[i] = open_file();
	/* in another order than they were opened in; 7 and 300 have no common factor */
	for (int k = 0; k < FILES; k++) {
		int i = 7 * k % FILES;
		NEED((second[i] = dup(first[i])) >= 0);
		third[i] = i % 3 ? second[i] : dup(first[i]);
	}
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	for (int i = 0; i < FILES; i++) {
		SAME(lseek(third[i], 0, SEEK_CUR), 0);
		SAME(lseek(third[i], i + 1, SEEK_SET), i + 1);
	}
	for (int i = 0; i < FILES; i++) {
		SAME(lseek(first[i], 0, SEEK_CUR), i + 1);
		SAME(lseek(second[i], 0, SEEK_CUR), i + 1);
	}
	say("moved", "");
	need_exit(pid, 0);
	ok();
}
