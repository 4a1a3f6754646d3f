/*
 * The leader of a session on a terminal that others have the master of, with a job in the
 * foreground that waits for a line, as a shell has it; for the scenes of faults.py.
 * VARIANTS: scenario
 */
#include "pty.h"

static void job(void)
{
	char line[64];

	signal(SIGTTOU, SIG_DFL);
	setpgid(0, 0);
	await("foreground");
	say("reading", "");
	ssize_t n = read(0, line, sizeof(line));
	if (n != 12 || memcmp(line, "half a line\n", 12))
		bad("the job read %zd bytes \"%.*s\"", n, n > 0 ? (int)n : 0, line);
	_exit(7);
}

int main(int argc, char **argv)
{
	struct termios before, after;
	int status;

	setup(argc, argv);
	SAME(tcgetsid(0), getpid());
	signal(SIGTTOU, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	NEED(!tcgetattr(0, &before));
	before.c_lflag &= ~ECHO;
	before.c_cc[VINTR] = 'q';
	NEED(!tcsetattr(0, TCSANOW, &before));
	pid_t pid = fork();
	NEED(pid >= 0);
	if (!pid)
		job();
	setpgid(pid, pid);
	NEED(!tcsetpgrp(0, pid));
	say("foreground", "");
	await("reading");
	while (task_state(pid, pid) != 'S')
		nap_ms(1);
	park();
	SAME(tcgetsid(0), getpid());
	SAME(tcgetpgrp(0), pid);
	NEED(!tcgetattr(0, &after));
	NEED(!memcmp(&before, &after, sizeof(before)));
	SAME(waitpid(pid, &status, 0), pid);
	NEED(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	NEED(!tcsetpgrp(0, getpid()));
	ok();
}
