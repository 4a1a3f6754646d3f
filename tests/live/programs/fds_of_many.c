/*
 * Many tasks, each with a few dozen files of its own that its parent does not have.
 * PROVES: F095
 */
#include "check.h"

enum { CHILDREN = 40, FILES = 24, SIZE = 4096 };

static void child(int gate, int up, const char *path, int self)
{
	int fd[FILES];
	char b;

	for (int i = 0; i < FILES; i++) {
		fd[i] = open(path, i % 2 ? O_RDONLY : O_RDWR | O_APPEND);
		NEED(fd[i] >= 0);
		NEED(lseek(fd[i], self * FILES + i, SEEK_SET) == self * FILES + i);
	}
	NEED(write(up, "u", 1) == 1);
	SAME(read(gate, &b, 1), 0);
	for (int i = 0; i < FILES; i++) {
		SAME(lseek(fd[i], 0, SEEK_CUR), self * FILES + i);
		SAME(fcntl(fd[i], F_GETFL) & (O_ACCMODE | O_APPEND),
			i % 2 ? O_RDONLY : O_RDWR | O_APPEND);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	pid_t pid[CHILDREN];
	int gate[2], up[2], fd;
	char b;

	setup(argc, argv);
	fd = open(in_dir("file"), O_CREAT | O_RDWR, 0644);
	NEED(fd >= 0 && !ftruncate(fd, SIZE) && !close(fd));
	NEED(!pipe(gate) && !pipe(up));
	for (int i = 0; i < CHILDREN; i++) {
		pid[i] = fork();
		NEED(pid[i] >= 0);
		if (!pid[i]) {
			close(gate[1]);
			child(gate[0], up[1], in_dir("file"), i);
		}
	}
	for (int i = 0; i < CHILDREN; i++)
		NEED(read(up[0], &b, 1) == 1);
	park();
	close(gate[1]);
	for (int i = 0; i < CHILDREN; i++)
		need_exit(pid[i], 0);
	ok();
}
