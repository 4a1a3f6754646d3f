/*
 * Working directory, root directory (chroot) and umask, different for each of three tasks.
 * PROVES: F019
 */
#include "check.h"

static void need_link(const char *link, const char *suffix)
{
	char buf[512];
	ssize_t n = readlink(link, buf, sizeof(buf) - 1);

	NEED(n > 0);
	buf[n] = 0;
	if (strlen(buf) < strlen(suffix) || strcmp(buf + n - strlen(suffix), suffix))
		bad("%s is %s, not ...%s", link, buf, suffix);
}

static void simple(void *unused)
{
	(void)unused;
	NEED(!chdir(in_dir("work")));
	umask(0137);
	child_park();
	need_link("/proc/self/cwd", "/work");
	SAME(umask(0), 0137);
	NEED(!access("marker", F_OK));
}

/* /proc is not there inside: what is visible must speak for itself. */
static void jailed(void *unused)
{
	(void)unused;
	NEED(!chroot(dir) && !chdir("/jail"));
	dir[0] = 0;
	umask(0);
	child_park();
	NEED(!access("/jail/inner", F_OK) && !access("inner", F_OK) && !access("/ready", F_OK));
	NEED(access("/proc/self", F_OK) == -1 && access("/jail/../../usr", F_OK) == -1);
	SAME(umask(0), 0);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	NEED(!mkdir(in_dir("work"), 0755) && !mkdir(in_dir("jail"), 0755));
	NEED(!mkdir(in_dir("work/marker"), 0755) && !mkdir(in_dir("jail/inner"), 0755));
	pid_t a = spawn(simple, NULL), b = spawn(jailed, NULL);
	await_child(a);
	await_child(b);
	NEED(!chdir("/usr/lib"));
	umask(0022);
	park();
	need_link("/proc/self/cwd", "/usr/lib");
	need_link("/proc/self/root", "/");
	SAME(umask(0), 0022);
	need_exit(a, 0);
	need_exit(b, 0);
	ok();
}
