/*
 * Open files that chattr(1) has made append-only or immutable since; a directory with F_NOTIFY.
 * The first word says which; a test function changes the file of that name.
 * VARIANTS: scenario
 */
#include "check.h"

int main(int argc, char **argv)
{
	const char *how;

	setup(argc, argv);
	NEED(argc > 2);
	how = argv[2];
	int made = open(in_dir("file"), O_CREAT | O_RDWR, 0600);
	NEED(made >= 0 && write(made, "some", 4) == 4 && !ftruncate(made, PAGE) && !close(made));
	if (!strcmp(how, "write")) {
		NEED(open(in_dir("file"), O_RDWR) >= 0);
	} else if (!strcmp(how, "append")) {
		NEED(open(in_dir("file"), O_WRONLY | O_APPEND) >= 0);
	} else if (!strcmp(how, "read")) {
		NEED(open(in_dir("file"), O_RDONLY) >= 0);
	} else if (!strcmp(how, "mapping")) {
		int fd = open(in_dir("file"), O_RDWR);
		NEED(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
		close(fd);
	} else if (!strcmp(how, "notify")) {
		int fd = open(dir, O_RDONLY | O_DIRECTORY);
		if (fcntl(fd, F_NOTIFY, DN_CREATE | DN_MULTISHOT))
			skip("no F_NOTIFY here");
		signal(SIGIO, SIG_IGN);
	}
	park();
	ok();
}
