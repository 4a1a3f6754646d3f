/*
 * Modes of a pseudo terminal: locked, packet mode, exclusive at either end; a master whose slave
 * never was open, one whose slaves were closed, slaves that were hung up, one of them opened again
 * since; output that is stopped, by ^S and by TCXONC; locked parameters.
 * PROVES: F184
 */
#include "pty.h"

static int locked, packet, excl_master, excl_slave, never, closed, hung, rehung_old, rehung,
	stopped, stopped_ioctl, fixed;
static int packet_slave, excl_master_slave, excl_slave_slave, rehung_master, stopped_slave,
	stopped_ioctl_slave, fixed_slave;

static int exclusive(int fd)
{
	int on = -1;

	NEED(!ioctl(fd, TIOCGEXCL, &on));
	return on;
}

static void build(void)
{
	int on = 1, tmp;
	struct termios t;

	locked = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	never = open_master();
	closed = open_master();
	tmp = open_slave_of(closed, O_RDWR);
	raw(tmp);
	type(tmp, "last words");
	close(tmp);

	packet = open_master();
	packet_slave = open_slave_of(packet, O_RDWR);
	NEED(!ioctl(packet, TIOCPKT, &on));

	excl_master = open_master();
	excl_master_slave = open_slave_of(excl_master, O_RDWR);
	NEED(!ioctl(excl_master, TIOCEXCL));
	excl_slave = open_master();
	excl_slave_slave = open_slave_of(excl_slave, O_RDWR);
	NEED(!ioctl(excl_slave_slave, TIOCEXCL));

	tmp = open_master();
	hung = open_slave_of(tmp, O_RDWR | O_NONBLOCK);
	close(tmp);

	rehung_master = open_master();
	rehung_old = open_slave_of(rehung_master, O_RDWR);
	NEED(!ioctl(rehung_old, TIOCVHANGUP));
	rehung = open_slave_of(rehung_master, O_RDWR);
	raw(rehung);

	stopped = open_master();
	stopped_slave = open_slave_of(stopped, O_RDWR | O_NONBLOCK);
	type(stopped, "\023");
	while (ready_for(stopped_slave, POLLOUT, 0) & POLLOUT)
		nap_ms(1);
	stopped_ioctl = open_master();
	stopped_ioctl_slave = open_slave_of(stopped_ioctl, O_RDWR | O_NONBLOCK);
	NEED(!tcflow(stopped_ioctl_slave, TCOOFF));

	fixed = open_master();
	fixed_slave = open_slave_of(fixed, O_RDWR);
	memset(&t, 0, sizeof(t));
	t.c_lflag = ECHO;
	NEED(!ioctl(fixed_slave, TIOCSLCKTRMIOS, &t));
}

static void need_packet(void)
{
	int on = 0;

	NEED(!ioctl(packet, TIOCGPKT, &on) && on);
	need_silent(packet);
	type(packet_slave, "data");
	need_read_n(packet, "\0data", 5);
	NEED(!tcflow(packet_slave, TCOOFF));
	need_read_n(packet, "\4", 1); /* TIOCPKT_STOP */
	NEED(!tcflow(packet_slave, TCOON));
	need_read_n(packet, "\10", 1);
}

static void need_masters(void)
{
	int on = 0, fd;
	char buf[16];

	NEED(!ioctl(locked, TIOCGPTLCK, &on) && on);
	NEED(!ioctl(never, TIOCGPTLCK, &on) && !on);
	snprintf(buf, sizeof(buf), "/dev/pts/%d", pty_number(locked));
	NEED(open(buf, O_RDWR | O_NOCTTY) < 0 && errno == EIO);

	NEED(!(ready_for(never, POLLIN, 0) & (POLLHUP | POLLIN)));
	fd = open_slave_of(never, O_RDWR);
	raw(fd);
	need_raw_echo(never, fd);

	NEED(ready_for(closed, POLLIN, 0) & POLLHUP);
	need_read(closed, "last words");
	NEED(read(closed, buf, 1) < 0 && errno == EIO);
}

static void need_hung(void)
{
	struct termios t;
	char c;

	SAME(fcntl(hung, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	SAME(read(hung, &c, 1), 0);
	NEED(write(hung, "x", 1) < 0 && errno == EIO);
	NEED(ioctl(hung, TCGETS, &t) < 0 && errno == EIO);
	SAME(read(rehung_old, &c, 1), 0);
	NEED(ioctl(rehung_old, TCGETS, &t) < 0 && errno == EIO);
	need_raw_echo(rehung_master, rehung);
}

static void need_stopped(void)
{
	NEED(!(ready_for(stopped_slave, POLLOUT, 0) & POLLOUT));
	NEED(write(stopped_slave, "x", 1) < 0 && errno == EAGAIN);
	NEED(!tcflow(stopped_slave, TCOON)); /* undoes only TCOOFF */
	NEED(!(ready_for(stopped_slave, POLLOUT, 0) & POLLOUT));
	type(stopped, "\021");
	NEED(ready_for(stopped_slave, POLLOUT, 2000) & POLLOUT);
	type(stopped_slave, "on");
	need_read(stopped, "on");

	NEED(!(ready_for(stopped_ioctl_slave, POLLOUT, 0) & POLLOUT));
	type(stopped_ioctl, "\021"); /* nor this what TCOOFF did */
	NEED(!(ready_for(stopped_ioctl_slave, POLLOUT, 20) & POLLOUT));
	NEED(!tcflow(stopped_ioctl_slave, TCOON));
	NEED(ready_for(stopped_ioctl_slave, POLLOUT, 0) & POLLOUT);
}

int main(int argc, char **argv)
{
	struct termios t;

	setup(argc, argv);
	build();
	park();
	need_masters();
	need_packet();
	SAME(exclusive(excl_master), 1);
	SAME(exclusive(excl_master_slave), 0);
	SAME(exclusive(excl_slave), 0);
	SAME(exclusive(excl_slave_slave), 1);
	need_hung();
	need_stopped();
	NEED(!ioctl(fixed_slave, TIOCGLCKTRMIOS, &t));
	SAME(t.c_lflag, ECHO);
	NEED(!tcgetattr(fixed_slave, &t));
	t.c_lflag &= ~(ECHO | ICANON);
	NEED(!tcsetattr(fixed_slave, TCSANOW, &t) || errno == EINVAL);
	NEED(!tcgetattr(fixed_slave, &t));
	SAME(t.c_lflag & (ECHO | ICANON), ECHO);
	ok();
}
