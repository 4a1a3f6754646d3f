/*
 * Children that do not tell of their end by SIGCHLD: by SIGUSR1, a realtime signal, or nothing;
 * alive, and dead already. What an execve() makes of one is SIGCHLD again.
 * PROVES: F002 F011
 */
#include "check.h"

enum { LIVING = 4, DEAD = 3 };

static volatile sig_atomic_t came[65];

static void note(int signo)
{
	came[signo]++;
}

/* Ends when `end` says so; executes a program before if it is to. */
static pid_t born(unsigned long signo, const char *end, char *const *program)
{
	pid_t pid = syscall(SYS_clone, signo, NULL, NULL, NULL, NULL);

	NEED(pid >= 0);
	if (pid)
		return pid;
	if (program)
		execv(program[0], program);
	if (end)
		await(end);
	_exit(7);
}

static void need_stat(pid_t pid, int signo)
{
	char path[64], text[1024];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	slurp(path, text, sizeof(text));
	char *p = strrchr(text, ')') + 1;

	for (int field = 3; field < 38; field++)
		p = strchr(p + 1, ' ');
	SAME(atoi(p), signo);
}

static void need_end(pid_t pid, int options)
{
	int status = 0;

	NEED(waitpid(pid, &status, options ? 0 : __WCLONE) < 0 && errno == ECHILD);
	SAME(waitpid(pid, &status, options), pid);
	NEED(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	const int signals[LIVING] = {SIGUSR1, SIGRTMIN + 2, 0, SIGCHLD};
	const int dead_signals[DEAD] = {SIGUSR2, SIGRTMIN + 3, 0};
	char *program[] = {"/bin/sleep", "1000", NULL};
	const struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
	siginfo_t info;
	pid_t living[LIVING], dead[DEAD];

	for (int signo = 1; signo <= 64; signo++)
		sigaction(signo, &action, NULL);
	for (int i = 0; i < LIVING; i++)
		living[i] = born(signals[i], "end", NULL);
	for (int i = 0; i < DEAD; i++) {
		dead[i] = born(dead_signals[i], NULL, NULL);
		SAME(waitid(P_PID, dead[i], &info, WEXITED | WNOWAIT | __WCLONE), 0);
	}
	pid_t other = born(SIGUSR2, NULL, program);

	while (task_state(other, other) != 'S' || came[SIGUSR2] != 1 || came[SIGRTMIN + 3] != 1)
		nap_ms(2);
	need_stat(other, SIGCHLD);
	memset((void *)came, 0, sizeof(came));
	park();

	for (int signo = 1; signo <= 64; signo++)
		if (came[signo])
			bad("signal %d came", signo);
	for (int i = 0; i < LIVING; i++)
		need_stat(living[i], signals[i]);
	for (int i = 0; i < DEAD; i++)
		need_end(dead[i], __WCLONE);
	need_stat(other, SIGCHLD);
	kill(other, SIGKILL);
	SAME(waitpid(other, NULL, 0), other);
	came[SIGCHLD] = 0;
	say("end", "");
	for (int i = 0; i < LIVING; i++) {
		while (task_state(living[i], living[i]) != 'Z')
			nap_ms(2);
		need_end(living[i], signals[i] == SIGCHLD ? 0 : __WCLONE);
	}
	for (int signo = 1; signo <= 64; signo++)
		SAME(came[signo], signo == SIGUSR1 || signo == SIGCHLD || signo == SIGRTMIN + 2);
	ok();
}
