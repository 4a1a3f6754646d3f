/*
 * Pseudo terminals with both ends in the tree: numbers with gaps, parameters, owner, modes, a
 * window size, ends shared by dup, opened twice, by path and by TIOCGPTPEER, in two tasks crosswise.
 * PROVES: F184 F187
 */
#include "pty.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

enum { PAIRS = 5 };

static int master[PAIRS], slave[PAIRS], number[PAIRS];
static struct termios set[PAIRS];

static void configure(int i)
{
	struct winsize w = {20 + i, 80 + i, 200 + i, 800 + i};
	struct termios t;

	NEED(!tcgetattr(slave[i], &t));
	cfmakeraw(&t);
	t.c_cc[VINTR] = 'a' + i;
	t.c_cc[VMIN] = 1;
	t.c_cc[VLNEXT] = 'k';
	t.c_cflag |= HUPCL;
	cfsetspeed(&t, i % 2 ? B9600 : B115200);
	NEED(!tcsetattr(slave[i], TCSANOW, &t));
	NEED(!tcgetattr(slave[i], &set[i]));
	NEED(!ioctl(slave[i], TIOCSWINSZ, &w));
	NEED(!fchown(slave[i], 1000 + i, 5));
	NEED(!fchmod(slave[i], 0600 + i));
}

static void need_configured(int i)
{
	struct winsize w;
	struct termios t;
	struct stat st;

	SAME(pty_number(master[i]), number[i]);
	NEED(!tcgetattr(slave[i], &t));
	NEED(!memcmp(&t, &set[i], sizeof(t)));
	NEED(!tcgetattr(master[i], &t));
	NEED(!memcmp(&t, &set[i], sizeof(t)));
	NEED(!ioctl(master[i], TIOCGWINSZ, &w));
	SAME(w.ws_row, 20 + i);
	SAME(w.ws_col, 80 + i);
	SAME(w.ws_xpixel, 200 + i);
	SAME(w.ws_ypixel, 800 + i);
	NEED(!fstat(slave[i], &st));
	SAME(st.st_uid, 1000 + i);
	SAME(st.st_gid, 5);
	SAME(st.st_mode & 07777, 0600 + i);
}

/* The child has the masters of even pairs and slaves of odd ones. */
static void child(void *unused)
{
	(void)unused;
	for (int i = 0; i < PAIRS; i++)
		close(i % 2 ? master[i] : slave[i]);
	child_park();
	for (int i = 0; i < PAIRS; i++) {
		char text[16];
		snprintf(text, sizeof(text), "pair %d", i);
		type(i % 2 ? slave[i] : master[i], text);
		need_read(i % 2 ? slave[i] : master[i], text + 5);
	}
}

int main(int argc, char **argv)
{
	int gap[2], copy, peer, second, path_only;
	struct stat st;
	pid_t pid;

	setup(argc, argv);
	for (int i = 0; i < PAIRS; i++) {
		master[i] = open_master();
		if (i < 2)
			gap[i] = open_master();
		slave[i] = open_slave_of(master[i], O_RDWR);
		number[i] = pty_number(master[i]);
		configure(i);
	}
	close(gap[0]);
	close(gap[1]);
	pid = spawn(child, NULL);
	await_child(pid);
	copy = dup(slave[0]);
	second = open_slave_of(master[0], O_RDONLY | O_NONBLOCK);
	peer = ioctl(master[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	NEED(copy >= 0 && peer >= 0);
	path_only = open_slave_of(master[1], O_PATH);
	NEED(!fcntl(slave[0], F_SETFL, O_NONBLOCK));
	park();
	SAME(fcntl(copy, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	SAME(fcntl(peer, F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_RDWR);
	SAME(fcntl(second, F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_NONBLOCK | O_RDONLY);
	NEED(!fcntl(copy, F_SETFL, 0));
	SAME(fcntl(slave[0], F_GETFL) & O_NONBLOCK, 0);
	for (int i = 0; i < PAIRS; i++) {
		char text[16];
		need_configured(i);
		snprintf(text, sizeof(text), "pair %d", i);
		need_read(i % 2 ? master[i] : slave[i], text);
		type(i % 2 ? master[i] : slave[i], text + 5);
	}
	need_exit(pid, 0);
	NEED(!fstat(path_only, &st));
	SAME(st.st_uid, 1001);
	need_raw_echo(master[0], slave[0]);
	need_raw_echo(master[0], peer);
	type(master[0], "x");
	need_read(second, "x");
	type(copy, "y");
	need_read(master[0], "y");
	/* the last slave that closes hangs up the master */
	close(slave[0]);
	close(copy);
	close(second);
	NEED(!(ready_for(master[0], POLLIN, 0) & POLLHUP));
	close(peer);
	NEED(ready_for(master[0], POLLIN, 0) & POLLHUP);
	ok();
}
