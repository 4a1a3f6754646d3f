/*
 * A watched directory with a file that is open by a name which is gone while another remains: the
 * names that dump and restore make there for --link-remap leave no events.
 * PROVES: F203 F210
 * DUMP: --link-remap
 * VARIANTS: plain cycles child fidelity
 */
#include "check.h"

#include <sys/inotify.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	char event[4096];
	int bytes;

	setup(argc, argv);
	NEED(!mkdir(in_dir("d"), 0755));
	int fd = open(in_dir("d/one"), O_CREAT | O_EXCL | O_RDWR, 0644);
	NEED(fd >= 0 && !link(in_dir("d/one"), in_dir("d/two")) && !unlink(in_dir("d/one")));
	int in = inotify_init1(IN_NONBLOCK);
	NEED(inotify_add_watch(in, in_dir("d"), IN_ALL_EVENTS) == 1);
	NEED(inotify_add_watch(in, in_dir("d/two"), IN_MODIFY) == 2);
	park();
	NEED(!ioctl(in, FIONREAD, &bytes));
	SAME(bytes, 0);
	NEED(write(fd, "x", 1) == 1);
	/* both: the file of the old name is the file of the new one */
	NEED(read(in, event, sizeof(event)) > 0);
	SAME(((struct inotify_event *)event)->mask, IN_MODIFY);
	NEED(!ioctl(in, FIONREAD, &bytes));
	SAME(bytes, 0);
	NEED(!unlink(in_dir("d/two")));
	NEED(read(in, event, sizeof(event)) > 0);
	ok();
}
