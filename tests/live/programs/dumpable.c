/*
 * The dumpable flag: 0, 1 and 2 (set-user-id style).
 * PROVES: F014
 */
#include "check.h"

static void child(void *arg)
{
	int want = *(int *)arg;

	if (want < 2)
		NEED(!prctl(PR_SET_DUMPABLE, want));
	else
		NEED(!setresuid(1000, 1000, 1000));
	SAME(prctl(PR_GET_DUMPABLE), want);
	child_park();
	SAME(prctl(PR_GET_DUMPABLE), want);
}

int main(int argc, char **argv)
{
	static const char sysctl[] = "/proc/sys/fs/suid_dumpable";
	char old[16];
	pid_t pid[3];

	setup(argc, argv);
	slurp(sysctl, old, sizeof(old));
	for (int i = 0; i < 3; i++) {
		/* Only a change of user makes a 2, and only while the machine is set up so. */
		int fd = i == 2 ? open(sysctl, O_WRONLY) : -1;

		if (fd >= 0)
			NEED(write(fd, "2", 1) == 1);
		pid[i] = spawn(child, &i);
		await_child(pid[i]);
		if (fd >= 0)
			NEED(write(fd, old, strlen(old)) > 0);
		close(fd);
	}
	park();
	for (int i = 0; i < 3; i++)
		need_exit(pid[i], 0);
	ok();
}
