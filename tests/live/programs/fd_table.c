/*
 * A descriptor table shared by two processes (CLONE_FILES): what one opens or closes, the other
 * sees; a third process has a copy.
 * PROVES: F098
 */
#include "check.h"
#include <linux/kcmp.h>

static long clone_sharing(unsigned long flags)
{
	return syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	int pair[2], copied;
	NEED(!pipe(pair));
	pid_t sharer = clone_sharing(CLONE_FILES);
	if (sharer == 0) {
		child_park();
		close(pair[0]);
		NEED(dup2(pair[1], 30) == 30);
		say("changed", "");
		await("checked");
		_exit(4);
	}
	pid_t copier = clone_sharing(0);
	if (copier == 0) {
		child_park();
		await("changed");
		NEED(fcntl(pair[0], F_GETFD) == 0 && fcntl(30, F_GETFD) == -1);
		_exit(5);
	}
	NEED(sharer > 0 && copier > 0);
	await_child(sharer);
	await_child(copier);
	copied = dup(pair[1]);
	park();
	SAME(syscall(SYS_kcmp, getpid(), sharer, KCMP_FILES, 0, 0), 0);
	NEED(syscall(SYS_kcmp, getpid(), copier, KCMP_FILES, 0, 0) > 0);
	await("changed");
	NEED(fcntl(pair[0], F_GETFD) == -1 && errno == EBADF);
	NEED(fcntl(30, F_GETFD) == 0 && fcntl(copied, F_GETFD) == 0);
	say("checked", "");
	need_exit(sharer, 4);
	need_exit(copier, 5);
	ok();
}
