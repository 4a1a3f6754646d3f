/*
 * Fanotify: marks on files, on a directory with its children, on a mount, with ignored masks of the
 * old and the new kind; a group that reports names instead of opening files. Their lines in fdinfo
 * are the same after; events come as they would have, and none of the restore itself.
 * PROVES: F199 F204 F210
 */
#include "check.h"

#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#ifndef FAN_REPORT_DFID_NAME
#define FAN_REPORT_DFID_NAME 0xc00
#endif
#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x200
#endif
#ifndef FAN_MARK_IGNORE_SURV
#define FAN_MARK_IGNORE_SURV 0x440
#endif

static int make_file(const char *name)
{
	int fd = open(in_dir(name), O_CREAT | O_EXCL | O_RDWR, 0644);

	NEED(fd >= 0);
	return fd;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void describe(int fd, char *text, size_t size)
{
	char path[64], raw[8192], *lines[32];
	int n = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	slurp(path, raw, sizeof(raw));
	for (char *line = strtok(raw, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, "fanotify", 8))
			lines[n++] = line;
	qsort(lines, n, sizeof(*lines), compare_lines);
	*text = 0;
	for (int i = 0; i < n; i++) {
		strncat(text, lines[i], size - strlen(text) - 1);
		strncat(text, "\n", size - strlen(text) - 1);
	}
}

/* One event with this mask, of this process; the path it opened is compared. */
static void need_event_at(int line, int group, uint64_t mask, const char *path)
{
	char buf[4096], link[64], target[512] = "";
	ssize_t n = read(group, buf, sizeof(buf));
	struct fanotify_event_metadata *e = (void *)buf;

	if (n <= 0)
		bad("line %d: no event", line);
	if (n != (ssize_t)e->event_len || e->mask != mask)
		bad("line %d: %zd bytes of events, the first with mask %llx", line, n, e->mask);
	SAME(e->pid, getpid());
	if (!path) {
		SAME(e->fd, FAN_NOFD);
		return;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", e->fd);
	NEED(readlink(link, target, sizeof(target) - 1) > 0);
	if (strcmp(target, in_dir(path)))
		bad("line %d: event of %s", line, target);
	SAME(fcntl(e->fd, F_GETFL) & O_ACCMODE, O_RDWR);
	close(e->fd);
}
#define need_event(...) need_event_at(__LINE__, __VA_ARGS__)

static void need_nothing(int group)
{
	int bytes;

	NEED(!ioctl(group, FIONREAD, &bytes));
	SAME(bytes, 0);
}

static void mark(int group, unsigned flags, uint64_t mask, const char *name)
{
	if (fanotify_mark(group, FAN_MARK_ADD | flags, mask, AT_FDCWD, in_dir(name)))
		bad("mark %s: flags %x mask %llx", name, flags, (unsigned long long)mask);
}

static void touch(const char *name)
{
	int fd = open(in_dir(name), O_RDONLY);

	NEED(fd >= 0);
	close(fd);
}

int main(int argc, char **argv)
{
	static char before[2][4096], after[4096];

	setup(argc, argv);
	NEED(!mkdir(in_dir("d"), 0755) && !mkdir(in_dir("m"), 0755) && !mkdir(in_dir("d/sub"), 0755));
	NEED(!mount("none", in_dir("m"), "tmpfs", 0, NULL));
	int one = make_file("d/one"), two = make_file("d/two"), on_mount = make_file("m/file");
	close(make_file("m/quiet"));
	int files = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDWR | O_LARGEFILE);
	int names = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_NONBLOCK |
			FAN_UNLIMITED_MARKS, O_RDONLY);
	if (files < 0 || names < 0)
		skip("no fanotify here");
	mark(files, 0, FAN_MODIFY | FAN_CLOSE_WRITE, "d/one");
	mark(files, FAN_MARK_EVICTABLE, FAN_OPEN | FAN_EVENT_ON_CHILD, "d");
	mark(files, FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_OPEN, "d/two");
	mark(files, FAN_MARK_MOUNT, FAN_OPEN, "m");
	mark(files, FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_OPEN, "m/quiet");
	mark(names, 0, FAN_CREATE | FAN_DELETE | FAN_ONDIR, "d");
	mark(names, FAN_MARK_IGNORE_SURV, FAN_DELETE | FAN_ONDIR, "d/sub");
	describe(files, before[0], sizeof(before[0]));
	describe(names, before[1], sizeof(before[1]));
	park();

	need_nothing(files);
	need_nothing(names);
	describe(files, after, sizeof(after));
	if (strcmp(before[0], after))
		bad("was\n%s\nis\n%s", before[0], after);
	describe(names, after, sizeof(after));
	if (strcmp(before[1], after))
		bad("was\n%s\nis\n%s", before[1], after);
	SAME(fcntl(files, F_GETFD), FD_CLOEXEC);
	SAME(fcntl(names, F_GETFD), 0);
	SAME(fcntl(names, F_GETFL) & O_NONBLOCK, O_NONBLOCK);

	NEED(write(one, "x", 1) == 1);
	need_event(files, FAN_MODIFY, "d/one");
	close(one);
	need_event(files, FAN_CLOSE_WRITE, "d/one");
	touch("d/two");
	need_nothing(files);
	touch("d/one");
	need_event(files, FAN_OPEN, "d/one");
	touch("m/quiet");
	need_nothing(files);
	NEED(write(on_mount, "x", 1) == 1);
	need_nothing(files);
	touch("m/file");
	need_event(files, FAN_OPEN, "m/file");
	need_nothing(names);
	NEED(!mkdir(in_dir("d/new"), 0755));
	need_event(names, FAN_CREATE | FAN_ONDIR, NULL);
	NEED(!unlink(in_dir("d/two")));
	need_event(names, FAN_DELETE, NULL);
	close(two);
	close(on_mount);
	ok();
}
