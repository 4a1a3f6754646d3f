/*
 * A shared fs structure (CLONE_FS): directory and umask of one are those of the other, between
 * threads and between processes.
 * PROVES: F099
 */
#include "check.h"
#include <linux/kcmp.h>
#include <pthread.h>

static void *thread(void *unused)
{
	await("thread may go");
	NEED(!chdir("/etc"));
	umask(0111);
	return unused;
}

int main(int argc, char **argv)
{
	char cwd[256];
	pthread_t t;

	setup(argc, argv);
	NEED(!chdir("/usr"));
	umask(027);
	pid_t pid = syscall(SYS_clone, CLONE_FS | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		child_park();
		await("child may go");
		NEED(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/etc") && umask(0123) == 0111);
		NEED(!chdir("/tmp"));
		_exit(0);
	}
	NEED(pid > 0 && !pthread_create(&t, NULL, thread, NULL));
	await_child(pid);
	await_threads_asleep();
	park();
	NEED(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/usr"));
	say("thread may go", "");
	NEED(!pthread_join(t, NULL));
	NEED(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/etc"));
	SAME(syscall(SYS_kcmp, getpid(), pid, KCMP_FS, 0, 0), 0);
	say("child may go", "");
	need_exit(pid, 0);
	NEED(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/tmp"));
	SAME(umask(0), 0123);
	ok();
}
