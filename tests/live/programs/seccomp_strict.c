/*
 * Strict seccomp: the task still may read and write, and still dies of anything else.
 * PROVES: F314 F316
 */
#include "check.h"
#include <linux/seccomp.h>

int main(int argc, char **argv)
{
	int go[2], back[2], status;
	char c = 0;

	setup(argc, argv);
	NEED(!pipe(go) && !pipe(back));
	pid_t pid = fork();
	NEED(pid >= 0);
	if (pid == 0) {
		NEED(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		syscall(SYS_write, back[1], "s", 1);
		syscall(SYS_read, go[0], &c, 1);
		syscall(SYS_write, back[1], &c, 1);
		syscall(SYS_getpid);
		syscall(SYS_exit, 0);
	}
	NEED(read(back[0], &c, 1) == 1 && c == 's');
	nap_ms(10);
	park();
	NEED(write(go[1], "k", 1) == 1);
	NEED(read(back[0], &c, 1) == 1 && c == 'k');
	NEED(waitpid(pid, &status, 0) == pid);
	NEED(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ok();
}
