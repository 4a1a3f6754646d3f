/*
 * PR_SET_PDEATHSIG is kept and works: after the restore the parent dies and the signal comes.
 * PROVES: F013
 */
#include "check.h"

static volatile sig_atomic_t got;

static void on_signal(int sig)
{
	got = sig;
}

static void child(void *unused)
{
	int sig = 0;

	(void)unused;
	NEED(signal(SIGUSR2, on_signal) != SIG_ERR);
	SAME(prctl(PR_SET_PDEATHSIG, SIGUSR2), 0);
	child_park();
	SAME(prctl(PR_GET_PDEATHSIG, &sig), 0);
	SAME(sig, SIGUSR2);
	SAME(got, 0);
	say("checked", "");
	for (int i = 0; i < 2000 && !got; i++)
		nap_ms(2);
	SAME(got, SIGUSR2);
	_exit(21);
}

static void parent(void *unused)
{
	int sig = -1;
	pid_t pid = spawn(child, unused);

	await_child(pid);
	child_park();
	SAME(prctl(PR_GET_PDEATHSIG, &sig), 0);
	SAME(sig, 0);
	await("checked");
}

int main(int argc, char **argv)
{
	int status;

	setup(argc, argv);
	SAME(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid_t pid = spawn(parent, NULL);

	await_child(pid);
	park();
	need_exit(pid, 0);
	NEED(waitpid(-1, &status, 0) > 0);
	NEED(WIFEXITED(status) && WEXITSTATUS(status) == 21);
	ok();
}
