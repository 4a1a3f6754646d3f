/*
 * The name of a removed open file belongs to another file now: each keeps its own contents.
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
	NEED(pwrite(old, "OLD", 3, 0) == 3);
	slurp(in_dir("name"), buf, sizeof(buf));
	NEED(!strcmp(buf, "new"));
	ok();
}
