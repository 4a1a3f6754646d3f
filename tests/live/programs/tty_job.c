/*
 * A job of a terminal, on descriptors 0, 1, 2 and /dev/tty; for test_terminals.py.
 *
 * With the argument "external" the terminal is not its controlling one; with "leader", it leads the
 * session that has it.
 * VARIANTS: scenario
 */
#include "pty.h"

static int hangups, sizes;

static void count(int sig)
{
	(void)sig;
	hangups++;
}

static void resized(int sig)
{
	(void)sig;
	sizes++;
}

int main(int argc, char **argv)
{
	bool leader = argc > 2 && !strcmp(argv[2], "leader");
	bool external = leader || (argc > 2 && !strcmp(argv[2], "external"));
	struct termios before, after;
	char line[64];
	ssize_t n;
	int tty = -1;

	setup(argc, argv);
	signal(SIGHUP, count);
	signal(SIGWINCH, resized);
	NEED(isatty(0) && isatty(1) && isatty(2));
	NEED(!tcgetattr(0, &before));
	before.c_lflag &= ~(ECHO | ICANON);
	before.c_cc[VINTR] = 'q';
	NEED(!tcsetattr(0, TCSANOW, &before));
	if (leader)
		SAME(tcgetsid(0), getpid());
	if (!external) {
		tty = open("/dev/tty", O_RDWR);
		NEED(tty >= 0);
	}
	park();
	NEED(!tcgetattr(0, &after));
	NEED(!memcmp(&before, &after, sizeof(before)));
	if (!external) {
		SAME(tcgetsid(0), getsid(0));
		SAME(tcgetpgrp(0), getpgrp());
		SAME(tcgetsid(tty), getsid(0));
	}
	if (leader) {
		SAME(tcgetsid(0), getpid());
		SAME(tcgetpgrp(0), getpid());
	}
	SAME(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
	NEED(write(external ? 1 : tty, "restored\n", 9) == 9);
	n = read(0, line, sizeof(line));
	NEED(n == 5 && !memcmp(line, "typed", 5));
	SAME(hangups, 0);
	SAME(sizes, !external); /* the new terminal has another size, given or kept */
	ok();
}
