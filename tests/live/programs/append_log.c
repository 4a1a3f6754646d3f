/*
 * A log that somebody else extends while the task is only an image: the restore goes through and
 * the next line goes to the new end.
 * PROVES: F101
 * BETWEEN: echo "line of another" >> $DIR/log
 */
#include "check.h"

int main(int argc, char **argv)
{
	char buf[512];

	setup(argc, argv);
	int fd = open(in_dir("log"), O_CREAT | O_WRONLY | O_APPEND, 0644);
	NEED(fd >= 0 && write(fd, "first\n", 6) == 6);
	park();
	NEED(write(fd, "last\n", 5) == 5);
	slurp(in_dir("log"), buf, sizeof(buf));
	NEED(!strncmp(buf, "first\n", 6) && !strcmp(buf + strlen(buf) - 5, "last\n"));
	for (char *p = buf + 6; strcmp(p, "last\n"); p += 16)
		NEED(!strncmp(p, "line of another\n", 16));
	ok();
}
