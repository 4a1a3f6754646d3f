/*
 * Named FIFOs with data: opened for both, by a reader and a writer in two tasks, by a writer only
 * with data left, removed (with data, too); capacity is kept.
 * PROVES: F133 F134 F138
 */
#include "check.h"

static int make(const char *name, int flags)
{
	if (!exists(name))
		NEED(!mkfifo(in_dir(name), 0640));
	int fd = open(in_dir(name), flags);
	NEED(fd >= 0);
	return fd;
}

static int between_read, between_write, reader, writer;

static void child(void *unused)
{
	char buf[64];

	(void)unused;
	close(between_write);
	close(reader);
	close(writer);
	child_park();
	NEED(read(between_read, buf, 64) == 7 && !memcmp(buf, "between", 7));
	await("closed");
	SAME(read(between_read, buf, 64), 0);
}

int main(int argc, char **argv)
{
	char buf[64];
	struct stat st;

	setup(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	int both = make("both", O_RDWR), ghost = make("ghost", O_RDWR | O_NONBLOCK);
	between_read = make("between", O_RDONLY | O_NONBLOCK);
	between_write = make("between", O_WRONLY);
	NEED(fcntl(between_read, F_SETFL, 0) == 0);
	reader = make("alone", O_RDONLY | O_NONBLOCK);
	writer = make("alone", O_WRONLY);
	NEED(write(both, "both ways", 9) == 9 && write(ghost, "boo", 3) == 3);
	NEED(write(between_write, "between", 7) == 7 && write(writer, "unread", 6) == 6);
	NEED(fcntl(both, F_SETPIPE_SZ, 128 << 10) == 128 << 10 && !unlink(in_dir("ghost")));
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	close(between_read);
	park();
	NEED(read(both, buf, 64) == 9 && !memcmp(buf, "both ways", 9));
	SAME(fcntl(both, F_GETPIPE_SZ), 128 << 10);
	NEED(read(ghost, buf, 64) == 3 && !memcmp(buf, "boo", 3));
	NEED(read(ghost, buf, 64) == -1 && errno == EAGAIN);
	NEED(!fstat(ghost, &st) && S_ISFIFO(st.st_mode) && st.st_nlink == 0 && !exists("ghost"));
	NEED(read(reader, buf, 64) == 6 && !memcmp(buf, "unread", 6));
	SAME(fcntl(reader, F_GETFL), O_RDONLY | O_NONBLOCK | 0100000);
	SAME(fcntl(writer, F_GETFL), O_WRONLY | 0100000);
	close(reader);
	NEED(write(writer, "x", 1) == -1 && errno == EPIPE);
	/* Still the FIFO that has this name: whoever opens it now talks to us. */
	int late = open(in_dir("both"), O_WRONLY | O_NONBLOCK);
	NEED(late >= 0 && write(late, "late", 4) == 4 && read(both, buf, 64) == 4);
	close(between_write);
	close(writer);
	say("closed", "");
	need_exit(pid, 0);
	ok();
}
