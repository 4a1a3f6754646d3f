/*
 * Keys that were pressed and have not had their effect: a ^C behind more input than the line
 * discipline holds, raw and in lines; a ^V whose next byte was not typed yet, alone, in a line,
 * with the output stopped; a ^C and ^Z behind it, which are just bytes then.
 * PROVES: F184 F185
 */
#include "pty.h"

enum { ROOM = 4095, LINE = 16 };

static volatile sig_atomic_t interrupts;
static int quoting, quoting_slave, in_line, in_line_slave, stopped, stopped_slave, plain,
	plain_slave;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupts++;
}

static int pair(int *slave, tcflag_t local, tcflag_t input)
{
	int m = open_master();

	*slave = open_slave_of(m, O_RDWR);
	set_modes(*slave, local, input);
	return m;
}

static void fill_with(int master, bool lines)
{
	char buf[ROOM];

	for (int i = 0; i < ROOM; i++)
		buf[i] = lines && i % LINE == LINE - 1 ? '\n' : 'a' + i % 23;
	SAME(write(master, buf, ROOM), ROOM);
}

static void be_led_by(int slave)
{
	struct sigaction act = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

	NEED(setsid() > 0);
	NEED(!ioctl(slave, TIOCSCTTY, 0));
	NEED(!sigaction(SIGINT, &act, NULL));
}

static void wait_full(int slave)
{
	int n = 0;

	while (n < ROOM) {
		NEED(!ioctl(slave, FIONREAD, &n));
		nap_us(200);
	}
}

/* The ^C is for later: when this was read, or some of it. */
static void read_raw(void *arg)
{
	char buf[ROOM];
	int slave, master = pair(&slave, ISIG | NOFLSH, 0);

	(void)arg;
	be_led_by(slave);
	fill_with(master, false);
	type(master, "\003Z");
	wait_full(slave);
	SAME(interrupts, 0);
	child_park();
	SAME(interrupts, 0);
	SAME(read(slave, buf, ROOM), ROOM);
	for (int i = 0; i < ROOM; i++)
		SAME(buf[i], 'a' + i % 23);
	need_read(slave, "Z");
	SAME(interrupts, 1);
}

static void read_lines(void *arg)
{
	char buf[ROOM];
	int slave, master = pair(&slave, ICANON | ISIG | NOFLSH, 0);

	(void)arg;
	be_led_by(slave);
	fill_with(master, true);
	type(master, "\003Z\n");
	nap_ms(20);
	child_park();
	for (int i = 0; i < ROOM / LINE; i++)
		SAME(read(slave, buf, ROOM), LINE);
	NEED(read(slave, buf, ROOM) > 0);
	while (!interrupts)
		nap_ms(1);
	SAME(interrupts, 1);
}

static void build(void)
{
	plain = pair(&plain_slave, ICANON | ISIG | IEXTEN, ICRNL);
	type(plain, "xy");

	quoting = pair(&quoting_slave, ICANON | ISIG | IEXTEN, ICRNL);
	type(quoting, "\026");

	in_line = pair(&in_line_slave, ICANON | ISIG | IEXTEN | ECHO | ECHOCTL, ICRNL | IXON);
	type(in_line, "one\nab\026\026c\026");
	need_read(in_line, "one\r\nab^\b^Vc^\b");

	stopped = pair(&stopped_slave, ICANON | ISIG | IEXTEN, ICRNL | IXON);
	type(stopped, "q\023\026");
	while (ready_for(stopped_slave, POLLOUT, 0) & POLLOUT)
		nap_ms(1);
}

static void check(void)
{
	type(plain, "\n");
	need_read(plain_slave, "xy\n");

	type(quoting, "\003\n");
	need_read(quoting_slave, "\003\n");

	need_read(in_line_slave, "one\n");
	need_silent(in_line_slave);
	need_silent(in_line);
	type(in_line, "\004d\n");
	need_read(in_line_slave, "ab\026c\004d\n");
	need_read(in_line, "^Dd\r\n");

	NEED(!(ready_for(stopped_slave, POLLOUT, 0) & POLLOUT));
	type(stopped, "\021\021\n");
	need_read(stopped_slave, "q\021\n");
	NEED(ready_for(stopped_slave, POLLOUT, 2000) & POLLOUT);
}

int main(int argc, char **argv)
{
	pid_t raw_reader, line_reader;

	setup(argc, argv);
	raw_reader = spawn(read_raw, NULL);
	line_reader = spawn(read_lines, NULL);
	await_child(raw_reader);
	await_child(line_reader);
	build();
	park();
	need_exit(line_reader, 0);
	need_exit(raw_reader, 0);
	check();
	ok();
}
