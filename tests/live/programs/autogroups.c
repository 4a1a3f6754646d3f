/*
 * The nice value of a whole session (autogroup), of the root's and of a child's own.
 * PROVES: F060
 */
#include "check.h"

static void set_group(int nice_value)
{
	int fd = open("/proc/self/autogroup", O_WRONLY);

	if (fd < 0 || dprintf(fd, "%d", nice_value) < 0)
		skip("no autogroups here");
	close(fd);
}

static void need_group(int nice_value)
{
	char text[128], want[32];

	slurp("/proc/self/autogroup", text, sizeof(text));
	snprintf(want, sizeof(want), " nice %d\n", nice_value);
	if (!strstr(text, want))
		bad("the autogroup is %s", text);
}

static void child(void *unused)
{
	(void)unused;
	NEED(setsid() > 0);
	set_group(-3);
	child_park();
	need_group(-3);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	if (getsid(0) == getpid())
		set_group(7);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	if (getsid(0) == getpid())
		need_group(7);
	need_exit(pid, 0);
	ok();
}
