/* What the programs about pseudo terminals share. */
#ifndef PTY_H
#define PTY_H

#include "check.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static UNUSED int open_master(void)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);

	NEED(fd >= 0);
	NEED(!unlockpt(fd));
	return fd;
}

static UNUSED int pty_number(int master)
{
	int n;

	NEED(!ioctl(master, TIOCGPTN, &n));
	return n;
}

static UNUSED int open_slave_of(int master, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/pts/%d", pty_number(master));
	fd = open(path, flags | O_NOCTTY);
	NEED(fd >= 0);
	return fd;
}

/* Change flags of the local modes and of input. */
static UNUSED void set_modes(int fd, tcflag_t local, tcflag_t input)
{
	struct termios t;

	NEED(!tcgetattr(fd, &t));
	t.c_lflag = local;
	t.c_iflag = input;
	NEED(!tcsetattr(fd, TCSANOW, &t));
}

static UNUSED void raw(int fd)
{
	struct termios t;

	NEED(!tcgetattr(fd, &t));
	cfmakeraw(&t);
	NEED(!tcsetattr(fd, TCSANOW, &t));
}

static UNUSED short ready_for(int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	NEED(poll(&p, 1, ms) >= 0);
	return p.revents;
}

/* One read() gives exactly this. */
static UNUSED void need_read_n(int fd, const char *want, size_t len)
{
	char buf[8192];
	ssize_t n;

	if (!(ready_for(fd, POLLIN, 2000) & POLLIN))
		bad("nothing to read, want \"%s\"", want);
	n = read(fd, buf, sizeof(buf));
	if (n != (ssize_t)len || memcmp(buf, want, len))
		bad("read %zd bytes \"%.*s\", want %zu \"%s\"", n, n > 0 ? (int)n : 0, buf, len,
			want);
}

static UNUSED void need_read(int fd, const char *want)
{
	need_read_n(fd, want, strlen(want));
}

static UNUSED void need_silent(int fd)
{
	NEED(!(ready_for(fd, POLLIN, 20) & POLLIN));
}

static UNUSED void type(int fd, const char *text)
{
	SAME(write(fd, text, strlen(text)), strlen(text));
}

/* Whatever is typed or written there comes out at the other end. */
static UNUSED void need_raw_echo(int master, int slave)
{
	type(master, "down");
	need_read(slave, "down");
	type(slave, "up");
	need_read(master, "up");
}

#endif
