/*
 * A removed file of 2 MiB, allowed by --ghost-limit.
 * PROVES: F109 F103
 * DUMP: --ghost-limit 4M
 */
#include "check.h"

int main(int argc, char **argv)
{
	char *data = malloc(2 << 20), *now = malloc(2 << 20);

	setup(argc, argv);
	int fd = open(in_dir("large"), O_CREAT | O_RDWR, 0600);
	fill(data, 2 << 20, 1);
	NEED(fd >= 0 && write(fd, data, 2 << 20) == 2 << 20 && !unlink(in_dir("large")));
	free(data);
	park();
	NEED(pread(fd, now, 2 << 20, 0) == 2 << 20);
	need_filled(now, 2 << 20, 1);
	SAME(lseek(fd, 0, SEEK_CUR), 2 << 20);
	ok();
}
