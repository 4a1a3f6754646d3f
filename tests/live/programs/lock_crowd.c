/*
 * 20 tasks, each with a POSIX lock on its own byte and a flock of its own file.
 * VARIANTS: scenario
 */
#include "check.h"

#include <sys/file.h>

enum { TASKS = 20 };

static void need_locked(int i)
{
	char name[16];
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1};

	snprintf(name, sizeof(name), "own.%d", i);
	int fd = open(in_dir("bytes"), O_RDWR), own = open(in_dir(name), O_RDWR);
	NEED(fd >= 0 && own >= 0);
	NEED(flock(own, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK);
	NEED(!fcntl(fd, F_GETLK, &l));
	SAME(l.l_type, F_WRLCK);
	close(own);
}

static void body(void *arg)
{
	int i = *(int *)arg;
	char name[16];
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1};

	snprintf(name, sizeof(name), "own.%d", i);
	int fd = open(in_dir("bytes"), O_RDWR), own = open(in_dir(name), O_CREAT | O_RDWR, 0644);
	NEED(fd >= 0 && own >= 0 && !fcntl(fd, F_SETLK, &l) && !flock(own, LOCK_EX));
	child_park();
	await("judged");
}

int main(int argc, char **argv)
{
	pid_t pids[TASKS];

	setup(argc, argv);
	NEED(open(in_dir("bytes"), O_CREAT | O_RDWR | O_CLOEXEC, 0644) >= 0);
	for (int i = 0; i < TASKS; i++)
		pids[i] = spawn(body, &i);
	for (int i = 0; i < TASKS; i++)
		await_child(pids[i]);
	park();
	for (int i = 0; i < TASKS; i++)
		need_locked(i);
	say("judged", "");
	for (int i = 0; i < TASKS; i++)
		need_exit(pids[i], 0);
	ok();
}
