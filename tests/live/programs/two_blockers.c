/*
 * Two tasks with one obstacle each, of different kinds: a large file without a name (fd 101) and a
 * file whose open name is gone while another remains (fd 102 of the child).
 * VARIANTS: scenario
 */
#include "check.h"

static void child(void *unused)
{
	(void)unused;
	int fd = open(in_dir("one"), O_CREAT | O_RDWR, 0600);

	NEED(fd >= 0 && !link(in_dir("one"), in_dir("two")) && !unlink(in_dir("one")));
	NEED(dup2(fd, 102) == 102);
	close(fd);
	child_park();
}

int main(int argc, char **argv)
{
	static char data[2 << 20];

	setup(argc, argv);
	int fd = open(in_dir("large"), O_CREAT | O_RDWR, 0600);
	NEED(fd >= 0 && write(fd, data, sizeof(data)) == sizeof(data) && !unlink(in_dir("large")));
	NEED(dup2(fd, 101) == 101);
	close(fd);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	need_exit(pid, 0);
	ok();
}
