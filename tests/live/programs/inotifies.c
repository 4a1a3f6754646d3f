/*
 * Inotify: watches on a directory, files, a symbolic link, a FIFO; numbers with gaps; one-shot; files
 * and directories that are removed but open, by two open files; a directory in which the tree has
 * files open, removed ones among them: the restore leaves no events.
 * Signals by O_ASYNC. Two processes read from one instance. fdinfo says the same after.
 * PROVES: F199 F203 F209 F210 F131
 */
#include "check.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>

static int main_in, shared_in, ghost, ghost_too;
static volatile sig_atomic_t signals;

static void on_signal(int signo)
{
	signals += signo == SIGRTMIN + 1;
}

static int make_file(const char *name)
{
	int fd = open(in_dir(name), O_CREAT | O_EXCL | O_RDWR, 0644);

	NEED(fd >= 0);
	return fd;
}

static int unread(int fd)
{
	int bytes;

	NEED(!ioctl(fd, FIONREAD, &bytes));
	return bytes;
}

/* The next event: its watch, mask and name. */
static void need_event_at(int line, int fd, int wd, uint32_t mask, const char *name)
{
	static char queue[8][4096];
	static ssize_t left[8], at[8];
	static int fds[8];
	int q = 0;

	while (fds[q] && fds[q] != fd)
		q++;
	fds[q] = fd;
	if (left[q] == at[q]) {
		at[q] = 0;
		left[q] = read(fd, queue[q], sizeof(queue[q]));
		if (left[q] <= 0)
			bad("line %d: no event", line);
	}
	struct inotify_event *e = (void *)(queue[q] + at[q]);
	at[q] += (ssize_t)(sizeof(*e) + e->len);
	if (e->wd != wd || e->mask != mask || strcmp(e->len ? e->name : "", name))
		bad("line %d: event of watch %d, mask %x, name %s; not %d, %x, %s", line, e->wd,
			e->mask, e->len ? e->name : "", wd, mask, name);
}

#define need_event(...) need_event_at(__LINE__, __VA_ARGS__)

static int watch(int fd, const char *name, uint32_t mask)
{
	int wd = inotify_add_watch(fd, in_dir(name), mask);

	NEED(wd > 0);
	return wd;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Number and mask of all watches; inode and handle of those whose file was not removed. */
static void describe(int fd, char *text)
{
	char path[64], raw[8192], *lines[32];
	int n = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	slurp(path, raw, sizeof(raw));
	for (char *line = strtok(raw, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, "inotify", 7))
			lines[n++] = line;
	qsort(lines, n, sizeof(*lines), compare_lines);
	*text = 0;
	for (int i = 0; i < n; i++) {
		int wd;
		unsigned ino, dev, mask;
		SAME(sscanf(lines[i], "inotify wd:%x ino:%x sdev:%x mask:%x", &wd, &ino, &dev, &mask), 4);
		sprintf(text + strlen(text), "%d %x\n", wd, mask);
	}
}

/* A mapped ELF file: the dump opens it to read its build-id. */
static void map_program(const char *name)
{
	int from = open("/proc/self/exe", O_RDONLY), to = make_file(name);

	NEED(from >= 0 && sendfile(to, from, NULL, 1 << 20) > 0);
	NEED(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, to, 0) != MAP_FAILED);
	close(from);
	close(to);
}

static void child(void *arg)
{
	(void)arg;
	close(ghost);
	close(ghost_too);
	child_park();
	await("turn");
	need_event(shared_in, 1, IN_ATTRIB, "");
}

int main(int argc, char **argv)
{
	static char before[2][2048], after[2048];

	setup(argc, argv);
	signal(SIGRTMIN + 1, on_signal);
	NEED(!mkdir(in_dir("d"), 0755) && !mkdir(in_dir("d/gone"), 0755));
	int plain = make_file("d/plain");
	ghost = make_file("d/ghost");
	int once = make_file("d/once"), log = make_file("d/log");
	NEED(!symlink("plain", in_dir("d/symlink")) && !symlink("nowhere", in_dir("d/dangling")));
	NEED(!mkfifo(in_dir("d/fifo"), 0600));
	ghost_too = open(in_dir("d/ghost"), O_RDONLY | O_CLOEXEC);
	int gone = open(in_dir("d/gone"), O_RDONLY | O_DIRECTORY);
	NEED(ghost_too >= 0 && gone >= 0);

	main_in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	shared_in = inotify_init1(0);
	int w_plain = watch(main_in, "d/plain", IN_MODIFY | IN_ATTRIB);
	int w_gap = watch(main_in, "d/log", IN_MODIFY);
	int w_symlink = watch(main_in, "d/symlink", IN_ATTRIB | IN_DELETE_SELF | IN_DONT_FOLLOW);
	int w_dangling = watch(main_in, "d/dangling", IN_ATTRIB | IN_DONT_FOLLOW);
	int w_fifo = watch(main_in, "d/fifo", IN_ATTRIB);
	int w_once = watch(main_in, "d/once", IN_ATTRIB | IN_ONESHOT);
	int w_ghost = watch(main_in, "d/ghost", IN_MODIFY | IN_DELETE_SELF | IN_CLOSE);
	int w_gone = watch(main_in, "d/gone", IN_ATTRIB | IN_ONLYDIR);
	NEED(!inotify_rm_watch(main_in, w_gap));
	need_event(main_in, w_gap, IN_IGNORED, "");
	NEED(!unlink(in_dir("d/ghost")) && !rmdir(in_dir("d/gone")));
	map_program("d/mapped");
	int dir_in = inotify_init1(IN_NONBLOCK);
	int w_dir = watch(dir_in, "d", IN_ALL_EVENTS | IN_EXCL_UNLINK);
	SAME(watch(shared_in, "d/plain", IN_ATTRIB), 1);
	NEED(!fcntl(main_in, F_SETSIG, SIGRTMIN + 1) && !fcntl(main_in, F_SETOWN, getpid()));
	NEED(!fcntl(main_in, F_SETFL, O_NONBLOCK | O_ASYNC));
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	describe(main_in, before[0]);
	describe(dir_in, before[1]);
	park();

	SAME(unread(main_in) + unread(dir_in) + unread(shared_in), 0);
	SAME(signals, 0);
	describe(main_in, after);
	if (strcmp(before[0], after))
		bad("was\n%s\nis\n%s", before[0], after);
	describe(dir_in, after);
	if (strcmp(before[1], after))
		bad("was\n%s\nis\n%s", before[1], after);
	SAME(fcntl(main_in, F_GETFL), O_NONBLOCK | O_ASYNC);
	SAME(fcntl(main_in, F_GETFD), FD_CLOEXEC);

	NEED(write(plain, "x", 1) == 1);
	SAME(signals, 1);
	need_event(main_in, w_plain, IN_MODIFY, "");
	need_event(dir_in, w_dir, IN_MODIFY, "plain");
	NEED(!lchown(in_dir("d/symlink"), 0, 0));
	need_event(main_in, w_symlink, IN_ATTRIB, "");
	need_event(dir_in, w_dir, IN_ATTRIB, "symlink");
	NEED(!lchown(in_dir("d/dangling"), 0, 0));
	need_event(main_in, w_dangling, IN_ATTRIB, "");
	need_event(dir_in, w_dir, IN_ATTRIB, "dangling");
	NEED(!chmod(in_dir("d/fifo"), 0600));
	need_event(main_in, w_fifo, IN_ATTRIB, "");
	need_event(dir_in, w_dir, IN_ATTRIB, "fifo");
	NEED(!fchmod(once, 0600));
	need_event(main_in, w_once, IN_ATTRIB, "");
	need_event(main_in, w_once, IN_IGNORED, "");
	need_event(dir_in, w_dir, IN_ATTRIB, "once");
	NEED(write(log, "x", 1) == 1);
	need_event(dir_in, w_dir, IN_MODIFY, "log");
	SAME(unread(main_in), 0);
	NEED(!fchmod(gone, 0700));
	need_event(main_in, w_gone, IN_ATTRIB | IN_ISDIR, "");
	need_event(dir_in, w_dir, IN_ATTRIB | IN_ISDIR, "gone");

	/* the removed file is watched until its last descriptor is closed */
	NEED(write(ghost, "x", 1) == 1);
	need_event(main_in, w_ghost, IN_MODIFY, "");
	close(ghost);
	need_event(main_in, w_ghost, IN_CLOSE_WRITE, "");
	SAME(unread(main_in), 0);
	close(ghost_too);
	need_event(main_in, w_ghost, IN_CLOSE_NOWRITE, "");
	need_event(main_in, w_ghost, IN_DELETE_SELF, "");
	need_event(main_in, w_ghost, IN_IGNORED, "");

	/* what was never seen, and numbers not used again */
	int new_one = make_file("d/new");
	need_event(dir_in, w_dir, IN_CREATE, "new");
	need_event(dir_in, w_dir, IN_OPEN, "new");
	close(new_one);
	need_event(dir_in, w_dir, IN_CLOSE_WRITE, "new");
	NEED(watch(main_in, "d/new", IN_MODIFY) > w_gone);
	NEED(!unlink(in_dir("d/symlink")));
	need_event(main_in, w_symlink, IN_ATTRIB, "");
	need_event(main_in, w_symlink, IN_DELETE_SELF, "");

	NEED(!fchmod(plain, 0600));
	say("turn", "");
	need_exit(pid, 0);
	ok();
}
