/*
 * 2500 files, of which the last are locked: POSIX by a child through an inherited file, flock, OFD, a
 * lease.  So many that the dump asks /proc/locks which of them are.
 * VARIANTS: scenario
 */
#include "check.h"

#include <sys/file.h>
#include <sys/resource.h>

enum { N = 2500, FIRST = 100 };

static struct flock byte_lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

static void child(void *unused)
{
	(void)unused;
	NEED(!fcntl(FIRST + N - 1, F_SETLK, &byte_lock));
	child_park();
	await("judged");
}

static const char *name_of(int i)
{
	char name[16];

	snprintf(name, sizeof(name), "f.%d", i);
	return in_dir(name);
}

int main(int argc, char **argv)
{
	struct rlimit limit = {N + 200, N + 200};

	setup(argc, argv);
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		skip("no room for so many descriptors");
	for (int i = 0; i < N; i++) {
		int fd = open(name_of(i), O_CREAT | O_RDWR, 0600);

		NEED(fd >= 0);
		if (fd != FIRST + i)
			NEED(dup2(fd, FIRST + i) == FIRST + i && !close(fd));
	}
	NEED(!flock(FIRST + N - 2, LOCK_EX) && !fcntl(FIRST + N - 3, F_OFD_SETLK, &byte_lock));
	NEED(!fcntl(FIRST + N - 4, F_SETLEASE, F_WRLCK));
	pid_t pid = spawn(child, NULL);

	await_child(pid);
	park();
	struct flock l = byte_lock;
	NEED(!fcntl(FIRST + N - 1, F_GETLK, &l));
	SAME(l.l_type, F_WRLCK);
	SAME(l.l_pid, pid);
	l = byte_lock;
	int other = open(name_of(N - 3), O_RDWR);
	NEED(!fcntl(other, F_OFD_GETLK, &l));
	SAME(l.l_type, F_WRLCK);
	other = open(name_of(N - 2), O_RDWR);
	NEED(other >= 0 && flock(other, LOCK_SH | LOCK_NB) == -1);
	SAME(fcntl(FIRST + N - 4, F_GETLEASE), F_WRLCK);
	say("judged", "");
	need_exit(pid, 0);
	ok();
}
