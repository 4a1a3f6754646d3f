/*
 * Three thousand open files of two names of one inode, of another file and of a deleted one, pipes
 * and sockets, in runs and in turns; some have an owner or a signal of their own. Each keeps its
 * path, position, owner and signal: what is known of a neighbour is no other's.
 * PROVES: F048 F100 F125
 */
#include "check.h"
#include <sys/resource.h>
#include <sys/socket.h>

enum { FILES = 3000, KINDS = 4 };

static const char *const names[KINDS] = {"file", "link", "other", "gone"};
static int fds[FILES];

/* Runs of ten of a kind, then turns. */
static int kind_of(int i)
{
	return i < FILES / 2 ? i / 10 % KINDS : i % KINDS;
}

static bool owned(int i)
{
	return i % 97 == 5;
}

static bool signalled(int i)
{
	return i % 89 == 7;
}

static void check_path(int fd, int kind)
{
	char link[32], path[4096];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	NEED(n > 0);
	path[n] = '\0';
	if (kind == 3)
		NEED(strstr(path, " (deleted)"));
	else
		NEED(!strcmp(path, in_dir(names[kind])));
}

int main(int argc, char **argv)
{
	struct rlimit limit = {8192, 8192};
	struct f_owner_ex owner;
	int ends[2];

	setup(argc, argv);
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_max < 8192)
		skip("RLIMIT_NOFILE is below 8192");
	limit.rlim_cur = 8192;
	NEED(!setrlimit(RLIMIT_NOFILE, &limit));
	say("file", "0123456789");
	say("other", "abcdefghij");
	say("gone", "ABCDEFGHIJ");
	NEED(!link(strdup(in_dir("file")), in_dir("link")));
	for (int i = 0; i < FILES; i++) {
		fds[i] = open(in_dir(names[kind_of(i)]), O_RDWR);
		NEED(fds[i] >= 0);
		if (i % 100 == 99)
			NEED(!pipe(ends) && !socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
		if (i % 3 == 0)
			NEED(lseek(fds[i], i % 7, SEEK_SET) == i % 7);
		owner = (struct f_owner_ex){F_OWNER_PID, getpid()};
		if (owned(i))
			NEED(!fcntl(fds[i], F_SETOWN_EX, &owner));
		if (signalled(i))
			NEED(!fcntl(fds[i], F_SETSIG, SIGRTMIN + 3));
	}
	NEED(!unlink(in_dir("gone")));
	park();
	for (int i = 0; i < FILES; i++) {
		check_path(fds[i], kind_of(i));
		SAME(lseek(fds[i], 0, SEEK_CUR), i % 3 == 0 ? i % 7 : 0);
		NEED(!fcntl(fds[i], F_GETOWN_EX, &owner));
		SAME(owner.pid, owned(i) ? getpid() : 0);
		SAME(fcntl(fds[i], F_GETSIG), signalled(i) ? SIGRTMIN + 3 : 0);
	}
	ok();
}
