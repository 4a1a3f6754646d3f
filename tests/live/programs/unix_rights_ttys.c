/*
 * Pseudo terminals on their way through a unix socket, as runtimes of containers hand over a console: only
 * the master, only the slave, or both are in a queue, and nobody else has them.
 * PROVES: F151 F184
 */
#include "pty.h"
#include "rights.h"

static void need_line(int master, int slave)
{
	type(master, "typed\n");
	need_read_n(slave, "typed\n", 6);
	need_read_n(master, "typed\r\n", 7); /* the echo */
}

int main(int argc, char **argv)
{
	int s[2], got[3];

	setup(argc, argv);
	NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	int master = open_master(), kept_slave = open_slave_of(master, O_RDWR);
	int kept_master = open_master(), slave = open_slave_of(kept_master, O_RDWR);
	int both[2] = {open_master()};
	both[1] = open_slave_of(both[0], O_RDWR);
	send_file(s[0], "master", master);
	send_file(s[0], "slave", slave);
	send_files(s[0], "both", both, 2);
	close(master);
	close(slave);
	close(both[0]);
	close(both[1]);
	park();
	SAME(take(s[1], "master", got, NULL), 1);
	need_line(got[0], kept_slave);
	SAME(take(s[1], "slave", got, NULL), 1);
	need_line(kept_master, got[0]);
	SAME(take(s[1], "both", got, NULL), 2);
	need_line(got[0], got[1]);
	ok();
}
