/*
 * steal-fd PID FD: reads what another process writes to a descriptor, such as its standard output.
 *
 * The descriptor is taken, and a pipe put in its place; what comes through the pipe goes to our
 * standard output and on to where it belongs.  At ^C, or when our standard input ends, the process
 * gets its descriptor back.
 */
#include <err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <fermata/inject.h>

static void on_interrupt(int signo)
{
	(void)signo; /* poll() returns */
}

static void check(struct fermata_inject *t, int r)
{
	if (r < 0)
		errx(1, "%s", fermata_inject_error(t));
}

/* Puts `replacement` in the place of its descriptor; returns what was there. */
static int exchange(struct fermata_inject *t, pid_t pid, int fd, int replacement)
{
	check(t, fermata_inject_seize(t, pid));
	int taken = fermata_inject_take_fd(t, fd);
	check(t, taken);
	check(t, fermata_inject_give_fd(t, replacement, fd));
	check(t, fermata_inject_cure(t));
	return taken;
}

/* Whatever is in the pipe. */
static int copy(int from, int to)
{
	char buf[4096];
	ssize_t n = read(from, buf, sizeof(buf));
	if (n <= 0)
		return 0;
	return write(STDOUT_FILENO, buf, (size_t)n) == n && write(to, buf, (size_t)n) == n;
}

int main(int argc, char **argv)
{
	int through[2];
	if (argc != 3)
		errx(2, "usage: steal-fd PID FD");
	pid_t pid = atoi(argv[1]);
	int fd = atoi(argv[2]);
	struct fermata_inject *t = fermata_inject_new();
	if (!t || pipe(through) < 0)
		err(1, "make a pipe");
	sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
	int original = exchange(t, pid, fd, through[1]);
	fprintf(stderr, "descriptor %d of %d is ours\n", fd, pid);
	struct pollfd wait[] = {{through[0], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
	while (poll(wait, 2, -1) > 0 && !wait[1].revents)
		if (!copy(through[0], original))
			break;
	close(exchange(t, pid, fd, original));
	close(through[1]);
	while (copy(through[0], original)) /* what was written before */
		;
	fermata_inject_free(t);
	return 0;
}
