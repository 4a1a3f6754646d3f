/*
 * Notification descriptors that cannot be dumped, at fd 100, by the name of the state.
 * VARIANTS: scenario
 */
#include "check.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>

static const char *state;

/* A process that is no part of the tree, and holds what it inherits. */
static pid_t make_foreigner(void)
{
	int ends[2], status;
	pid_t pid, foreigner = 0;

	NEED(!pipe2(ends, O_CLOEXEC) && (pid = fork()) >= 0);
	if (!pid) {
		setsid();
		pid = fork();
		if (pid) {
			write(ends[1], &pid, sizeof(pid));
			_exit(0);
		}
		await("release");
		_exit(0);
	}
	NEED(read(ends[0], &foreigner, sizeof(foreigner)) == sizeof(foreigner));
	SAME(waitpid(pid, &status, 0), pid);
	close(ends[0]);
	close(ends[1]);
	return foreigner;
}

static int epoll_foreign(void)
{
	struct epoll_event e = {.events = EPOLLIN};
	int set = epoll_create1(0), target = eventfd(0, 0);

	NEED(!epoll_ctl(set, EPOLL_CTL_ADD, target, &e));
	make_foreigner();
	close(target);
	return set;
}

static int inotify_unread(void)
{
	int fd = inotify_init1(0);

	NEED(!mkdir(in_dir("w"), 0755) && inotify_add_watch(fd, in_dir("w"), IN_CREATE) == 1);
	NEED(!mkdir(in_dir("w/d"), 0755));
	return fd;
}

/* With --skip-in-flight all that is told of the directory is that something was. */
static void need_overflow(int fd)
{
	char room[4096] __attribute__((aligned(8)));
	struct inotify_event *e = (struct inotify_event *)room;

	NEED(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	SAME(read(fd, room, sizeof(room)), sizeof(*e));
	NEED(e->mask == IN_Q_OVERFLOW && e->wd == -1 && e->len == 0);
	NEED(read(fd, room, sizeof(room)) == -1 && errno == EAGAIN);
	NEED(!mkdir(in_dir("w/e"), 0755));
	NEED(read(fd, room, sizeof(room)) > (ssize_t)sizeof(*e));
	NEED(e->mask == (IN_CREATE | IN_ISDIR) && e->wd == 1 && !strcmp(e->name, "e"));
	NEED(inotify_add_watch(fd, in_dir("w/e"), IN_CREATE) == 2);
}

static int inotify_foreign(void)
{
	int fd = inotify_init1(0), file = open(in_dir("file"), O_CREAT | O_RDWR, 0600);

	NEED(inotify_add_watch(fd, in_dir("file"), IN_MODIFY) == 1);
	make_foreigner();
	NEED(!unlink(in_dir("file")));
	close(file);
	return fd;
}

static int fanotify_unread(void)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY);

	NEED(!mkdir(in_dir("d"), 0755));
	if (fd < 0 || fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN | FAN_ONDIR, AT_FDCWD, in_dir("d")))
		skip("no fanotify here");
	close(open(in_dir("d"), O_RDONLY));
	return fd;
}

static int fanotify_decides(void)
{
	int fd = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY);

	NEED(!mkdir(in_dir("d"), 0755));
	if (fd < 0 || fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN_PERM | FAN_ONDIR, AT_FDCWD, in_dir("d")))
		skip("no fanotify permission events here");
	return fd;
}

static int fanotify_filesystem(void)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY);

	if (fd < 0 || fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC, AT_FDCWD, "/proc"))
		skip("no fanotify here");
	return fd;
}

static int pidfd_foreign(void)
{
	return syscall(SYS_pidfd_open, make_foreigner(), 0);
}

static int pidfd_thread(void)
{
	int fd = syscall(SYS_pidfd_open, getpid(), O_EXCL);

	if (fd < 0)
		skip("no pidfds of threads here");
	return fd;
}

static const struct {
	const char *name;
	int (*make)(void);
} states[] = {
	{"epoll-foreign", epoll_foreign},
	{"inotify-unread", inotify_unread},
	{"inotify-foreign", inotify_foreign},
	{"fanotify-unread", fanotify_unread},
	{"fanotify-decides", fanotify_decides},
	{"fanotify-filesystem", fanotify_filesystem},
	{"pidfd-foreign", pidfd_foreign},
	{"pidfd-thread", pidfd_thread},
};

int main(int argc, char **argv)
{
	int fd = -1;

	setup(argc, argv);
	state = argc > 2 ? argv[2] : "";
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(states[i].name, state))
			fd = states[i].make();
	NEED(fd >= 0 && dup2(fd, 100) == 100 && !close(fd));
	park();
	if (argc > 3 && !strcmp(argv[3], "lost"))
		need_overflow(100);
	ok();
}
