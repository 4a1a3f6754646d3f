/*
 * Tasks and a thread that wait for a lock (F_SETLKW, F_OFD_SETLKW, flock) go on waiting, and get it
 * when it is free; locks on a directory, a device, a FIFO and a pipe.
 * PROVES: F120 F121
 * DUMP: --file-locks
 * RESTORE: --file-locks
 */
#include "check.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

static int fds[3];

static int byte_lock(int fd, int cmd, int type)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_len = 10};

	return fcntl(fd, cmd, &l);
}

static int lock(int kind, int fd, bool wait)
{
	if (kind == 2)
		return flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
	return byte_lock(fd,
		kind   ? wait ? F_OFD_SETLKW : F_OFD_SETLK
		: wait ? F_SETLKW
		       : F_SETLK,
		F_WRLCK);
}

static const char *const names[] = {"posix", "ofd", "flock"};

static void waiter(void *arg)
{
	int kind = *(int *)arg;
	int fd = open(in_dir(names[kind]), O_RDWR);

	NEED(fd >= 0 && lock(kind, fd, false) == -1);
	say(kind == 0 ? "w0" : kind == 1 ? "w1" : "w2", "");
	NEED(lock(kind, fd, true) == 0);
	NEED(exists("release"));
	NEED(lock(kind, fd, false) == 0);
}

static void *waiting_thread(void *unused)
{
	int fd = open(in_dir("flock"), O_RDWR);

	NEED(fd >= 0 && flock(fd, LOCK_SH) == 0);
	close(fd);
	return unused;
}

int main(int argc, char **argv)
{
	pid_t pids[3];
	pthread_t thread;
	int pair[2], kinds[3] = {0, 1, 2};

	setup(argc, argv);
	for (int i = 0; i < 3; i++) {
		fds[i] = open(in_dir(names[i]), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
		NEED(fds[i] >= 0 && lock(i, fds[i], false) == 0);
	}
	NEED(!mkfifo(in_dir("fifo"), 0644) && !pipe(pair) &&
		!mknod(in_dir("null"), S_IFCHR | 0666, makedev(1, 3)));
	int others[] = {open(in_dir("."), O_RDONLY), open(in_dir("null"), O_RDWR),
		open(in_dir("fifo"), O_RDWR), pair[0]};
	for (int i = 0; i < 4; i++)
		NEED(!flock(others[i], LOCK_EX | LOCK_NB));
	for (int i = 0; i < 3; i++) {
		pids[i] = spawn(waiter, &kinds[i]);
		await(i == 0 ? "w0" : i == 1 ? "w1" : "w2");
		while (task_state(pids[i], pids[i]) != 'S')
			nap_ms(2);
	}
	NEED(!pthread_create(&thread, NULL, waiting_thread, NULL));
	await_threads_asleep();
	nap_ms(10);
	park();
	for (int i = 0; i < 3; i++) {
		NEED(waitpid(pids[i], NULL, WNOHANG) == 0);
		if (i == 2)
			NEED(!flock(fds[i], LOCK_UN));
		else
			NEED(!byte_lock(fds[i], i ? F_OFD_SETLK : F_SETLK, F_UNLCK));
		need_exit(pids[i], 0);
	}
	NEED(!pthread_join(thread, NULL));
	for (int i = 0; i < 4; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", others[i]);
		int again = open(path, O_RDONLY | O_NONBLOCK);
		NEED(again >= 0 && flock(again, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK);
		close(again);
	}
	ok();
}
