/*
 * Sessions with controlling terminals, as a shell has them: a foreground and a background job, one
 * that was stopped by SIGTTIN, /dev/tty open, a member forked before the leader had the terminal,
 * one that gave it up; a leader that has its terminal nowhere open; one whose foreground group has
 * ended. ^C reaches the right group, SIGHUP nobody before the master closes.
 * PROVES: F185 F186 F193
 */
#include "pty.h"

enum { ROOM = 128 };

/* What the processes tell each other; shared. */
struct board {
	volatile int sigint[ROOM], sighup[ROOM], ready, checked;
	volatile pid_t foreground, background, leader, early, gave_up;
	volatile bool dismissed;
};

static struct board *board;
static int me; /* place on the board */

static void count(int sig)
{
	(sig == SIGINT ? board->sigint : board->sighup)[me]++;
}

static void settle(int place)
{
	me = place;
	signal(SIGINT, count);
	signal(SIGHUP, count);
	__atomic_add_fetch(&board->ready, 1, __ATOMIC_SEQ_CST);
}

static void checked(void)
{
	__atomic_add_fetch(&board->checked, 1, __ATOMIC_SEQ_CST);
}

static void idle(void)
{
	checked();
	while (!board->dismissed)
		nap_ms(5);
	_exit(0);
}

static int tty_number(void)
{
	char buf[512], *p;
	int tty;

	slurp("/proc/self/stat", buf, sizeof(buf));
	p = strrchr(buf, ')');
	NEED(sscanf(p + 2, "%*c %*d %*d %*d %d", &tty) == 1);
	return tty;
}

static pid_t job(pid_t group, int place, int dev_tty)
{
	pid_t pid = fork();

	NEED(pid >= 0);
	if (pid) {
		setpgid(pid, group);
		return pid;
	}
	setpgid(0, group);
	settle(place);
	int tty = tty_number();
	NEED(tty);
	await("release");
	SAME(tty_number(), tty);
	if (dev_tty >= 0) {
		pid_t pgrp;
		NEED(!ioctl(dev_tty, TIOCGPGRP, &pgrp));
		SAME(pgrp, board->foreground);
	}
	idle();
	return 0;
}

static pid_t without_tty(int place, bool give_up)
{
	pid_t pid = fork();

	NEED(pid >= 0);
	if (pid)
		return pid;
	if (give_up) {
		int fd = open("/dev/tty", O_RDWR);
		NEED(fd >= 0);
		NEED(!ioctl(fd, TIOCNOTTY));
		close(fd);
	}
	settle(place);
	await("release");
	SAME(tty_number(), 0);
	NEED(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO);
	idle();
	return 0;
}

/* A background job that reads from the terminal and is stopped for it. */
static pid_t reader(int slave)
{
	pid_t pid = fork();
	char c;

	NEED(pid >= 0);
	if (pid == 0) {
		setpgid(0, 0);
		if (read(slave, &c, 1) > 0)
			bad("the background job read something");
		_exit(1); /* hung up */
	}
	setpgid(pid, pid);
	return pid;
}

static void need_stopped(pid_t pid, int sig)
{
	int status;

	SAME(waitpid(pid, &status, WUNTRACED), pid);
	NEED(WIFSTOPPED(status));
	SAME(WSTOPSIG(status), sig);
}

static void shell(int master)
{
	int slave, dev_tty;
	pid_t pgrp, stopped;

	setsid();
	slave = open_slave_of(master, O_RDWR);
	close(master);
	board->early = without_tty(5, false);
	while (board->ready < 1)
		nap_ms(1);
	NEED(!ioctl(slave, TIOCSCTTY, 0));
	dev_tty = open("/dev/tty", O_RDWR | O_NONBLOCK);
	NEED(dev_tty >= 0);
	board->gave_up = without_tty(6, true);
	board->foreground = job(0, 1, dev_tty);
	job(board->foreground, 2, -1);
	board->background = job(0, 3, -1);
	signal(SIGTTOU, SIG_IGN);
	settle(0);
	while (board->ready < 6)
		nap_ms(1);
	NEED(!tcsetpgrp(slave, board->foreground));
	stopped = reader(slave);
	while (task_state(stopped, stopped) != 'T')
		nap_ms(1);
	board->leader = getpid();
	int tty = tty_number();
	await("release");
	SAME(tty_number(), tty);
	SAME(tcgetpgrp(slave), board->foreground);
	SAME(tcgetsid(dev_tty), getpid());
	SAME(fcntl(dev_tty, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
	NEED(!ioctl(dev_tty, TIOCGPGRP, &pgrp));
	SAME(pgrp, board->foreground);
	type(slave, "from the shell\n");
	for (int i = 0; i < 2; i++) {
		need_stopped(stopped, SIGTTIN);
		NEED(!kill(stopped, SIGCONT));
	}
	need_stopped(stopped, SIGTTIN);
	NEED(!kill(stopped, SIGKILL));
	checked();
	while (wait(NULL) > 0 || errno == EINTR)
		;
	_exit(0);
}

/* Its foreground group was a job that is over, its descriptors are closed. */
static void bare(int master, bool dead_group)
{
	int slave, status;
	pid_t pid;

	setsid();
	slave = open_slave_of(master, O_RDWR);
	close(master);
	NEED(!ioctl(slave, TIOCSCTTY, 0));
	signal(SIGTTOU, SIG_IGN);
	if (dead_group) {
		pid = fork();
		if (!pid) {
			setpgid(0, 0);
			NEED(!tcsetpgrp(slave, getpid()));
			_exit(0);
		}
		NEED(waitpid(pid, &status, 0) == pid && !status);
		SAME(tcgetpgrp(slave), pid);
	} else {
		close(slave);
	}
	int tty = tty_number();
	settle(dead_group ? 8 : 7);
	await("release");
	SAME(tty_number(), tty);
	if (dead_group) {
		SAME(tcgetpgrp(slave), pid);
		SAME(tcgetsid(slave), getpid());
	}
	idle();
}

static pid_t start(int master, void (*body)(int))
{
	pid_t pid = fork();

	NEED(pid >= 0);
	if (!pid) {
		close_range(3, master - 1, 0); /* the masters of others */
		body(master);
	}
	return pid;
}

static void bare_closed(int master)
{
	bare(master, false);
}

static void bare_dead(int master)
{
	bare(master, true);
}

static void await_count(volatile int *number, int want)
{
	for (int i = 0; *number < want && i < 1000; i++)
		nap_ms(2);
	SAME(*number, want);
}

int main(int argc, char **argv)
{
	int master, closed, dead;

	setup(argc, argv);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(board != MAP_FAILED);
	master = open_master();
	fcntl(master, F_SETFD, FD_CLOEXEC);
	start(master, shell);
	while (!board->leader)
		nap_ms(1);
	closed = open_master();
	start(closed, bare_closed);
	dead = open_master();
	start(dead, bare_dead);
	while (board->ready < 8)
		nap_ms(1);
	nap_ms(10); /* the last ones have reached their wait */
	park();
	need_read(master, "from the shell\r\n");
	await_count(&board->checked, 8);
	for (int i = 0; i < ROOM; i++) {
		SAME(board->sighup[i], 0);
		SAME(board->sigint[i], 0);
	}
	type(master, "\003");
	await_count(&board->sigint[1], 1);
	await_count(&board->sigint[2], 1);
	SAME(board->sigint[0] + board->sigint[3] + board->sigint[5] + board->sigint[6], 0);
	NEED(ready_for(closed, POLLIN, 0) & POLLHUP);
	/* the hangup goes to the leader and the foreground group */
	close(master);
	await_count(&board->sighup[0], 1);
	SAME(board->sighup[3] + board->sighup[5] + board->sighup[7] + board->sighup[8], 0);
	close(dead);
	await_count(&board->sighup[8], 1);
	board->dismissed = true;
	while (wait(NULL) > 0)
		;
	ok();
}
