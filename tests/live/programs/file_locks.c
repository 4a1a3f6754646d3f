/*
 * File locks: POSIX ones on ranges, by two tasks, on a file that is also mapped, opened a second
 * time and open at high numbers; flock() of a file that fork() shared, by a process that is dead;
 * OFD locks. What each of them keeps others from is asked before and after.
 *
 * PROVES: F120 F121 F122 F124
 * DUMP: --file-locks
 * RESTORE: --file-locks
 */
#include "check.h"

#include <sys/file.h>

static int posix, reader, ofd, shared, by_dead;
static char *map;

static int open_new(const char *name)
{
	int fd = open(in_dir(name), O_CREAT | O_RDWR | O_CLOEXEC, 0644);

	NEED(fd >= 0 && !ftruncate(fd, 4096));
	return fd;
}

static int set(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	return fcntl(fd, cmd, &l);
}

/* Who keeps an open file of its own from write-locking: F_UNLCK, or type, range and owner match. */
static void need_lock(const char *name, int type, off_t start, off_t len, pid_t pid)
{
	int fd = open(in_dir(name), O_RDWR | O_CLOEXEC);
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	NEED(fd >= 0 && !fcntl(fd, F_OFD_GETLK, &l));
	SAME(l.l_type, type);
	if (type != F_UNLCK) {
		SAME(l.l_start, start);
		SAME(l.l_len, len);
		SAME(l.l_pid, pid);
	}
	/* no close(): it would drop our own POSIX locks */
}

static void child(void *unused)
{
	(void)unused;
	/* through the file that the parent opened: the lock is ours all the same */
	NEED(!set(posix, F_SETLK, F_WRLCK, 200, 50));
	NEED(!set(posix, F_SETLK, F_RDLCK, 300, 0));
	child_park();
	need_lock("posix", F_WRLCK, 0, 100, getppid());
	need_lock("posix", F_WRLCK, 200, 50, getpid());
	NEED(set(posix, F_SETLK, F_WRLCK, 10, 1) == -1 && errno == EAGAIN);
	NEED(!flock(shared, LOCK_EX | LOCK_NB)); /* we have it, too */
	await("judged");
}

static void lock_and_die(void *fd)
{
	NEED(!flock(*(int *)fd, LOCK_SH));
}

static bool can_flock(const char *name, int how)
{
	int fd = open(in_dir(name), O_RDWR | O_CLOEXEC);
	int r = flock(fd, how | LOCK_NB);

	NEED(fd >= 0 && (r == 0 || errno == EWOULDBLOCK));
	close(fd);
	return r == 0;
}

static void judge(pid_t pid)
{
	need_lock("posix", F_WRLCK, 0, 100, getpid());
	need_lock("posix", F_WRLCK, 200, 50, pid);
	need_lock("posix", F_RDLCK, 300, 0, pid);
	need_lock("posix", F_UNLCK, 100, 50, 0);
	need_lock("map", F_RDLCK, 4, 4, getpid());
	need_lock("ofd", F_WRLCK, 1L << 40, 10, -1);
	need_lock("ofd", F_UNLCK, 0, 10, 0);
	NEED(!can_flock("shared", LOCK_SH));
	NEED(can_flock("dead", LOCK_SH) && !can_flock("dead", LOCK_EX));
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	posix = open_new("posix");
	shared = open_new("shared");
	by_dead = open_new("dead");
	ofd = open_new("ofd");
	int mapped = open_new("map");

	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
	NEED(map != MAP_FAILED);
	reader = open(in_dir("map"), O_RDONLY);
	NEED(dup2(mapped, 300) == 300);
	NEED(!set(reader, F_SETLK, F_RDLCK, 4, 4));
	NEED(!set(posix, F_SETLK, F_WRLCK, 0, 100));
	NEED(!set(ofd, F_OFD_SETLK, F_WRLCK, 1L << 40, 10));
	NEED(!flock(shared, LOCK_EX));
	need_exit(spawn(lock_and_die, &by_dead), 0);
	pid_t pid = spawn(child, NULL);

	await_child(pid);
	judge(pid);
	park();
	judge(pid);
	say("judged", "");
	need_exit(pid, 0);
	need_lock("posix", F_UNLCK, 200, 50, 0);
	strcpy(map, "written");
	NEED(!set(ofd, F_OFD_SETLK, F_UNLCK, 0, 0));
	need_lock("ofd", F_UNLCK, 1L << 40, 10, 0);
	close(300); /* any descriptor of the file drops them */
	need_lock("map", F_UNLCK, 4, 4, 0);
	NEED(!flock(by_dead, LOCK_UN) && can_flock("dead", LOCK_EX));
	ok();
}
