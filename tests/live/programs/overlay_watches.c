/*
 * Watches (inotify, fanotify) on an overlay, whose handles nobody can open: on a directory, a file of the
 * upper and one of the lower layer, and a directory further down that nobody has open.
 * PROVES: F203
 */
#include "check.h"

#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

static void make(const char *name)
{
	close(open(in_dir(name), O_CREAT | O_RDWR, 0644));
}

static void mount_overlay(void)
{
	static const char *const dirs[] = {"lower", "lower/d", "lower/d/deep", "upper", "work", "m"};
	char options[2048], *end = options;

	NEED(!mkdir(in_dir("base"), 0755) && !mount("none", in_dir("base"), "tmpfs", 0, NULL));
	NEED(!chdir(in_dir("base")));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		NEED(!mkdir(dirs[i], 0755));
	make("base/lower/d/low");
	make("base/lower/d/deep/far");
	end += sprintf(end, "lowerdir=%s,", in_dir("base/lower"));
	end += sprintf(end, "upperdir=%s,", in_dir("base/upper"));
	sprintf(end, "workdir=%s", in_dir("base/work"));
	if (mount("overlay", in_dir("base/m"), "overlay", 0, options))
		skip("this kernel has no overlayfs");
	NEED(!chdir("/"));
}

static void need_event(int in, int wd, const char *name)
{
	char buf[4096] __attribute__((aligned(8)));
	const struct inotify_event *e = (void *)buf;

	NEED(read(in, buf, sizeof(buf)) > 0);
	SAME(e->wd, wd);
	if (strcmp(e->len ? e->name : "", name))
		bad("an event of \"%s\", not of \"%s\"", e->len ? e->name : "", name);
}

int main(int argc, char **argv)
{
	struct fanotify_event_metadata event;
	int bytes;

	setup(argc, argv);
	mount_overlay();
	make("base/m/d/up");
	int in = inotify_init1(IN_NONBLOCK);
	NEED(inotify_add_watch(in, in_dir("base/m/d"), IN_CREATE | IN_DELETE) == 1);
	NEED(inotify_add_watch(in, in_dir("base/m/d/up"), IN_MODIFY) == 2);
	NEED(inotify_add_watch(in, in_dir("base/m/d/low"), IN_ATTRIB) == 3);
	NEED(inotify_add_watch(in, in_dir("base/m/d/deep"), IN_CREATE) == 4);
	int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);
	NEED(fan >= 0);
	NEED(!fanotify_mark(fan, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, in_dir("base/m/d/up")));
	park();
	NEED(!ioctl(in, FIONREAD, &bytes));
	SAME(bytes, 0);
	make("base/m/d/new");
	need_event(in, 1, "new");
	int up = open(in_dir("base/m/d/up"), O_WRONLY);
	NEED(write(up, "x", 1) == 1);
	need_event(in, 2, "");
	NEED(read(fan, &event, sizeof(event)) == sizeof(event) && event.mask == FAN_MODIFY);
	NEED(!chmod(in_dir("base/m/d/low"), 0600));
	need_event(in, 3, "");
	make("base/m/d/deep/new");
	need_event(in, 4, "new");
	ok();
}
