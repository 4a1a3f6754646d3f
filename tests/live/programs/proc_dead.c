/*
 * Files and directories in /proc of tasks that are dead and reaped: they stay open, and stay dead.
 * PROVES: F119 F039
 */
#include "check.h"

static void child(void *unused)
{
	(void)unused;
	await("die");
}

int main(int argc, char **argv)
{
	static const char *const file[] = {"", "/status", "/maps", "/fd", "/task"};
	char path[64], buf[64];
	int fd[2][5];
	pid_t pid[2];

	setup(argc, argv);
	for (int p = 0; p < 2; p++) {
		pid[p] = spawn(child, NULL);
		for (int i = 0; i < 5; i++) {
			snprintf(path, sizeof(path), "/proc/%d%s", pid[p], file[i]);
			fd[p][i] = open(path, O_RDONLY);
			NEED(fd[p][i] >= 0);
		}
	}
	say("die", "");
	need_exit(pid[0], 0);
	need_exit(pid[1], 0);
	park();
	for (int p = 0; p < 2; p++) {
		NEED(kill(pid[p], 0) == -1 && errno == ESRCH);
		for (int i = 0; i < 5; i++) {
			SAME(fcntl(fd[p][i], F_GETFD), 0);
			if (i == 1)
				NEED(read(fd[p][i], buf, 1) == -1 && errno == ESRCH);
			if (i == 0)
				NEED(openat(fd[p][i], "status", O_RDONLY) == -1);
		}
	}
	NEED(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	ok();
}
