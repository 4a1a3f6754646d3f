/*
 * Terminals that exist whether or not a program has them open: the console, virtual consoles.
 * Their parameters are those of the dump again even if someone changed them meanwhile.
 * PROVES: F192 F194
 * BETWEEN: stty -F /dev/tty$(cat $DIR/vt) echo rows 24 cols 80
 * AFTER: rmdir /tmp/fermata-vt-$(cat $DIR/vt)
 */
#include "pty.h"

/* The machine has one set of them for all tests that run at once. */
static int claim(void)
{
	for (int n = 5; n < 62; n += 2) {
		char path[64], text[16];
		struct stat st;

		snprintf(path, sizeof(path), "/tmp/fermata-vt-%d", n);
		if (!stat(path, &st) && time(NULL) - st.st_mtime > 300)
			rmdir(path); /* of a test that failed */
		if (mkdir(path, 0700))
			continue;
		snprintf(text, sizeof(text), "%d", n);
		say("vt", text);
		return n;
	}
	skip("all virtual consoles are in use");
}

static int open_console(int number)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/tty%d", number);
	return open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
}

int main(int argc, char **argv)
{
	struct winsize w, size = {33, 77, 0, 0};
	struct termios t;
	int console, vt, second, number;

	setup(argc, argv);
	console = open("/dev/console", O_RDWR | O_NOCTTY | O_NONBLOCK);
	number = claim();
	vt = open_console(number);
	second = open_console(number + 1);
	if (console < 0 || vt < 0 || second < 0)
		skip("no console or virtual consoles here");
	NEED(!tcgetattr(vt, &t));
	t.c_lflag &= ~ECHO;
	NEED(!tcsetattr(vt, TCSANOW, &t));
	NEED(!tcgetattr(second, &t));
	t.c_oflag &= ~ONLCR;
	NEED(!tcsetattr(second, TCSANOW, &t));
	NEED(!ioctl(vt, TIOCSWINSZ, &size));
	park();
	SAME(fcntl(console, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
	NEED(isatty(console));
	NEED(!tcgetattr(vt, &t));
	SAME(t.c_lflag & ECHO, 0);
	NEED(!ioctl(vt, TIOCGWINSZ, &w));
	SAME(w.ws_row, 33);
	SAME(w.ws_col, 77);
	NEED(!tcgetattr(second, &t));
	SAME(t.c_oflag & ONLCR, 0);
	type(second, "\r");
	ok();
}
