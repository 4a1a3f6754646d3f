/*
 * Bytes that wait in pseudo terminals: output and input, whole lines, ends of file, a line that is
 * being typed (and can still be erased), quoted characters, more than the line discipline holds,
 * raw input below VMIN, in packet mode, with echoes; written before a slave was ever open.
 * PROVES: F184
 */
#include "pty.h"

enum { MANY = 3000 };

static int lines, lines_slave, half, half_slave, quoted, quoted_slave, rawm, raw_slave, big,
	big_slave, packet, packet_slave, eol, eol_slave, early, echo, echo_slave, noext, noext_slave,
	pushed, pushed_slave;

static int pair(int *slave, tcflag_t local, tcflag_t input)
{
	int m = open_master();

	*slave = open_slave_of(m, O_RDWR);
	set_modes(*slave, local, input);
	return m;
}

static void set_char(int fd, int which, char c)
{
	struct termios t;

	NEED(!tcgetattr(fd, &t));
	t.c_cc[which] = c;
	NEED(!tcsetattr(fd, TCSANOW, &t));
}

static void write_many(int fd, char first)
{
	char buf[MANY];

	for (int i = 0; i < MANY; i++)
		buf[i] = first + i % 23;
	for (int done = 0; done < MANY;) {
		int n = write(fd, buf + done, MANY - done);
		NEED(n > 0);
		done += n;
	}
}

static void need_many(int fd, char first)
{
	for (int i = 0; i < MANY; i++) {
		char c;
		NEED(ready_for(fd, POLLIN, 2000) & POLLIN);
		NEED(read(fd, &c, 1) == 1);
		SAME(c, first + i % 23);
	}
}

static void build(void)
{
	int on = 1;

	lines = pair(&lines_slave, ICANON | ISIG | IEXTEN, ICRNL);
	type(lines, "one\ntwo\rend\004\004\004three\n");
	type(lines_slave, "out\nput");

	half = pair(&half_slave, ICANON | ISIG | IEXTEN | ECHO | ECHOE, ICRNL | IXON);
	type(half, "ready\nls -l /tm");
	need_read(half, "ready\r\nls -l /tm");

	quoted = pair(&quoted_slave, ICANON | ISIG | IEXTEN, ICRNL | IXON);
	type(quoted, "a\026\003b\026\nc\026\004d\026\026e\026\021f\ng\026\004h\026\ni");

	rawm = open_master();
	raw_slave = open_slave_of(rawm, O_RDWR);
	raw(raw_slave);
	set_char(raw_slave, VMIN, 10);
	SAME(write(rawm, "\0\3\23\21\32\377", 6), 6);
	SAME(write(raw_slave, "\377\0\r\n\t", 5), 5);

	big = open_master();
	big_slave = open_slave_of(big, O_RDWR);
	raw(big_slave);
	write_many(big, 'A');
	write_many(big, 'a');
	write_many(big_slave, '0');
	write_many(big_slave, 'A');

	packet = pair(&packet_slave, ICANON | ISIG | IEXTEN, IXON);
	NEED(!ioctl(packet, TIOCPKT, &on));
	type(packet, "typed\nno");
	type(packet_slave, "written");

	eol = pair(&eol_slave, ICANON, 0);
	set_char(eol_slave, VEOL, ';');
	type(eol, "x;y\nz");

	early = open_master();
	type(early, "before\nany");

	echo = pair(&echo_slave, ICANON | ECHO, ICRNL);
	type(echo, "seen\n");

	noext = pair(&noext_slave, ICANON | ISIG, 0);
	type(noext, "ab\026c\nd\026");

	/* what was typed in raw mode becomes a line of its own when lines come */
	pushed = pair(&pushed_slave, ISIG | IEXTEN, 0);
	type(pushed, "raw bytes");
	while (!(ready_for(pushed_slave, POLLIN, 100) & POLLIN))
		;
	set_modes(pushed_slave, ICANON | ISIG | IEXTEN, 0);
}

static void need_lines(void)
{
	char c;

	need_read(lines_slave, "one\n");
	need_read(lines_slave, "two\n");
	need_read(lines_slave, "end");
	SAME(read(lines_slave, &c, 1), 0);
	SAME(read(lines_slave, &c, 1), 0);
	need_read(lines_slave, "three\n");
	need_silent(lines_slave);
	need_read(lines, "out\r\nput");

	need_read(half_slave, "ready\n");
	need_silent(half_slave);
	need_silent(half);
	type(half, "\177\177\177opt\r");
	need_read(half_slave, "ls -l opt\n");
	need_read(half, "\b \b\b \b\b \bopt\r\n");
}

static void need_quoted(void)
{
	need_read(quoted_slave, "a\003b\nc\004d\026e\021f\n");
	need_silent(quoted_slave);
	type(quoted, "\n");
	need_read(quoted_slave, "g\004h\ni\n");

	need_read(eol_slave, "x;");
	need_read(eol_slave, "y\n");
	need_silent(eol_slave);
	type(eol, ";");
	need_read(eol_slave, "z;");

	need_read(noext_slave, "ab\026c\n");
	type(noext, "\n");
	need_read(noext_slave, "d\026\n");

	need_read(pushed_slave, "raw bytes");
	need_silent(pushed_slave);
}

static void need_raw(void)
{
	need_silent(raw_slave); /* below VMIN */
	type(rawm, "1234");
	need_read_n(raw_slave, "\0\3\23\21\32\377" "1234", 10);
	need_read_n(rawm, "\377\0\r\n\t", 5);
	need_many(big_slave, 'A');
	need_many(big_slave, 'a');
	need_many(big, '0');
	need_many(big, 'A');
}

int main(int argc, char **argv)
{
	int fd;

	setup(argc, argv);
	build();
	park();
	need_lines();
	need_quoted();
	need_raw();
	need_read(packet_slave, "typed\n");
	need_silent(packet_slave);
	type(packet, "w\n");
	need_read(packet_slave, "now\n");
	need_read_n(packet, "\0written", 8);
	need_silent(packet);
	NEED(!(ready_for(early, POLLIN, 0) & POLLHUP));
	fd = open_slave_of(early, O_RDWR);
	need_read(fd, "before\n");
	need_silent(fd);
	type(early, "\n");
	need_read(fd, "any\n");
	need_read(echo_slave, "seen\n");
	need_read(echo, "seen\r\n");
	need_silent(echo);
	ok();
}
