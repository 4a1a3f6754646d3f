/*
 * Settings of a process in /proc: oom_score_adj, the audit login uid, what a core dump has.
 * PROVES: F015 F016
 */
#include "check.h"

static void put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		skip(file);
	close(fd);
}

static void check(const char *file, int value)
{
	char buf[64];

	slurp(file, buf, sizeof(buf));
	SAME(atoi(buf), value);
}

static void check_filter(long value)
{
	char buf[64];

	slurp("/proc/self/coredump_filter", buf, sizeof(buf));
	SAME(strtol(buf, NULL, 16), value);
}

static void child(void *unused)
{
	(void)unused;
	put("/proc/self/oom_score_adj", "813");
	put("/proc/self/loginuid", "4242");
	put("/proc/self/coredump_filter", "0x7f");
	child_park();
	check_filter(0x7f);
	check("/proc/self/oom_score_adj", 813);
	check("/proc/self/loginuid", 4242);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	pid_t pid = spawn(child, NULL);
	put("/proc/self/oom_score_adj", "500");
	put("/proc/self/loginuid", "1234");
	await_child(pid);
	park();
	check("/proc/self/oom_score_adj", 500);
	check("/proc/self/loginuid", 1234);
	check_filter(0x33);
	need_exit(pid, 0);
	ok();
}
