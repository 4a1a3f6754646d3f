/*
 * Pipes: data in flight, both ends in several tasks, flags of each end, capacity, a full one, an
 * empty one, one without readers, one without writers, one whose end was opened again by /proc.
 * PROVES: F132 F138
 */
#include "check.h"

static int data[2], full[2], no_reader[2], no_writer[2], flagged[2], empty[2], reopened;

static void child(void *unused)
{
	char buf[16];

	(void)unused;
	close(data[1]);
	close(empty[0]);
	child_park();
	/* The first bytes are for us, the rest for the parent. */
	NEED(read(data[0], buf, 5) == 5 && !memcmp(buf, "first", 5));
	NEED(write(empty[1], "hello", 5) == 5);
}

static size_t fill_up(int fd)
{
	static char page[PAGE];
	size_t n = 0;

	for (int i = 0;; i++) {
		fill(page, PAGE, i);
		ssize_t put = write(fd, page, PAGE);
		if (put < 0)
			break;
		n += put;
	}
	SAME(errno, EAGAIN);
	return n;
}

int main(int argc, char **argv)
{
	static char page[PAGE];
	char buf[64];

	setup(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	NEED(!pipe(data) && !pipe2(full, O_NONBLOCK) && !pipe(no_reader) && !pipe(no_writer));
	NEED(!pipe2(flagged, O_CLOEXEC) && !pipe(empty));
	NEED(write(data[1], "firstsecond", 11) == 11);
	NEED(fcntl(full[1], F_SETPIPE_SZ, 256 << 10) == 256 << 10);
	NEED(fcntl(flagged[0], F_SETFL, O_NONBLOCK) == 0);
	NEED(fcntl(flagged[1], F_SETPIPE_SZ, PAGE) == (int)PAGE);
	size_t in_full = fill_up(full[1]);
	close(no_reader[0]);
	NEED(write(no_writer[1], "left over", 9) == 9);
	close(no_writer[1]);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", data[0]);
	reopened = open(buf, O_RDWR | O_NONBLOCK);
	NEED(reopened >= 0);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	need_exit(pid, 0);
	NEED(read(data[0], buf, 64) == 6 && !memcmp(buf, "second", 6));
	NEED(write(reopened, "again", 5) == 5 && read(data[0], buf, 64) == 5);
	NEED(read(empty[0], buf, 64) == 5 && !memcmp(buf, "hello", 5));
	SAME(fcntl(full[0], F_GETPIPE_SZ), 256 << 10);
	NEED(write(full[1], "x", 1) == -1 && errno == EAGAIN);
	for (size_t i = 0; i < in_full / PAGE; i++) {
		NEED(read(full[0], page, PAGE) == (ssize_t)PAGE);
		need_filled(page, PAGE, i);
	}
	NEED(read(full[0], page, 1) == -1 && errno == EAGAIN);
	NEED(write(no_reader[1], "x", 1) == -1 && errno == EPIPE);
	NEED(read(no_writer[0], buf, 64) == 9 && !memcmp(buf, "left over", 9));
	SAME(read(no_writer[0], buf, 64), 0);
	SAME(fcntl(flagged[0], F_GETFD), FD_CLOEXEC);
	SAME(fcntl(flagged[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	SAME(fcntl(flagged[1], F_GETFL), O_WRONLY);
	SAME(fcntl(flagged[1], F_GETPIPE_SZ), PAGE);
	SAME(fcntl(data[0], F_GETPIPE_SZ), 65536);
	ok();
}
