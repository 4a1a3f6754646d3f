/*
 * The name of a removed open file belongs to another file now: each keeps its own contents.
 * The removed one may get a suffix to its dead name, but only one.
 * PROVES: F103 F108
 */
#include "check.h"

int main(int argc, char **argv)
{
	char buf[32];

	setup(argc, argv);
	say("name", "old");
	int old = open(in_dir("name"), O_RDWR);
	NEED(old >= 0 && !unlink(in_dir("name")));
	say("name", "new");
	int new = open(in_dir("name"), O_RDWR);
	NEED(new >= 0);
	park();
	NEED(pread(old, buf, 32, 0) == 3 && !memcmp(buf, "old", 3));
	NEED(pread(new, buf, 32, 0) == 3 && !memcmp(buf, "new", 3));
	char path[64], target[512];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", old);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	NEED(n > 0);
	target[n] = 0;
	char *end = strstr(target, "/name");
	NEED(end && (!strcmp(end, "/name (deleted)") || !strcmp(end, "/name.cr_link (deleted)")));
	NEED(pwrite(old, "OLD", 3, 0) == 3);
	slurp(in_dir("name"), buf, sizeof(buf));
	NEED(!strcmp(buf, "new"));
	ok();
}
