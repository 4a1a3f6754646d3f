/*
 * Descriptors whose other side is not in the tree, as test_external.py hands them down: 50 a pipe
 * to write to (held by the child, too), 51 a pipe to read from, 52 a file at position 4.  Besides,
 * 53 a file of DIR ("log"), 54 a memfd ("notes").
 * VARIANTS: scenario
 */
#include "check.h"

static void child(void *unused)
{
	(void)unused;
	child_park();
	NEED(write(50, "child ", 6) == 6);
}

int main(int argc, char **argv)
{
	char buf[64];

	setup(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	NEED(dup2(open(in_dir("log"), O_CREAT | O_RDWR | O_APPEND, 0644), 53) == 53);
	NEED(dup2(memfd_create("notes", 0), 54) == 54 && write(54, "old", 3) == 3);
	NEED(lseek(52, 4, SEEK_SET) == 4 && fcntl(52, F_SETFL, O_APPEND) == 0);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	need_exit(pid, 0);
	NEED(write(50, "parent", 6) == 6);
	SAME(read(51, buf, 64), 11);
	NEED(!memcmp(buf, "queued+sent", 11));
	SAME(fcntl(50, F_GETFL) & O_ACCMODE, O_WRONLY);
	SAME(fcntl(51, F_GETFL) & O_ACCMODE, O_RDONLY);
	SAME(lseek(52, 0, SEEK_CUR), 4);
	NEED(fcntl(52, F_GETFL) & O_APPEND);
	NEED(read(52, buf, 5) == 4 && !memcmp(buf, "ents", 4));
	NEED(write(53, "logged", 6) == 6 && pread(54, buf, 64, 0) > 0 && buf[0] == argv[2][0]);
	ok();
}
