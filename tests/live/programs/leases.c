/*
 * Leases: a read and a write lease, one on a file of another user and one on a write-only file,
 * with the signal that tells of their end (F_SETSIG: si_fd).  Opening the files breaks them.
 * PROVES: F122
 * DUMP: --file-locks
 * RESTORE: --file-locks
 */
#include "check.h"

static int leased(const char *name, int flags, int type)
{
	int fd = open(in_dir(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0666);

	NEED(fd >= 0 && write(fd, "contents", 8) == 8);
	close(fd);
	fd = open(in_dir(name), flags);
	NEED(fd >= 0 && !fcntl(fd, F_SETSIG, SIGRTMIN));
	if (fcntl(fd, F_SETLEASE, type) < 0 && errno == EINVAL)
		skip("this filesystem knows no leases");
	SAME(fcntl(fd, F_GETLEASE), type);
	return fd;
}

/* Somebody else's open() is told to wait, and we are told of it. */
static void need_broken(const char *name, int flags, int fd, int left)
{
	struct timespec second = {1, 0};
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	NEED(open(in_dir(name), flags | O_NONBLOCK) == -1 && errno == EWOULDBLOCK);
	SAME(sigtimedwait(&set, &info, &second), SIGRTMIN);
	SAME(info.si_fd, fd);
	SAME(fcntl(fd, F_GETLEASE), left);
	NEED(!fcntl(fd, F_SETLEASE, F_UNLCK));
}

int main(int argc, char **argv)
{
	sigset_t set;

	setup(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int both = leased("both", O_RDWR, F_WRLCK), reading = leased("reading", O_RDONLY, F_RDLCK);
	int writing = leased("writing", O_WRONLY | O_APPEND, F_WRLCK);
	int others = leased("others", O_RDONLY, F_RDLCK);
	struct stat st;

	NEED(!chown(in_dir("others"), 1234, 1234));
	NEED(!fstat(others, &st) && st.st_uid == 1234);
	park();
	SAME(fcntl(both, F_GETLEASE), F_WRLCK);
	SAME(fcntl(writing, F_GETLEASE), F_WRLCK);
	SAME(fcntl(others, F_GETLEASE), F_RDLCK);
	NEED(sigpending(&set) == 0 && !sigismember(&set, SIGRTMIN)); /* nobody broke one */
	int more = open(in_dir("reading"), O_RDONLY);
	NEED(more >= 0);
	SAME(fcntl(reading, F_GETLEASE), F_RDLCK);
	need_broken("both", O_RDONLY, both, F_RDLCK);
	need_broken("writing", O_WRONLY, writing, F_UNLCK);
	need_broken("reading", O_WRONLY, reading, F_UNLCK);
	need_broken("others", O_WRONLY, others, F_UNLCK);
	ok();
}
