/*
 * Nine hundred open files, holes in the numbering, some very high numbers, and nothing else: no
 * descriptor appears or vanishes.
 * PROVES: F048 F054 F125
 */
#include "check.h"
#include <dirent.h>
#include <sys/resource.h>

enum { FILES = 900 };

static int number_of(int i)
{
	return i < 600 ? 3 + 2 * i : i < 890 ? 2000 + 3 * i : 15000 + 100 * (i - 890);
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	NEED(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* . and .. and the directory itself */
}

int main(int argc, char **argv)
{
	struct rlimit limit = {20000, 20000};
	char buf[8], name[32];

	setup(argc, argv);
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_max < 20000)
		skip("RLIMIT_NOFILE is below 20000");
	limit.rlim_cur = 20000;
	NEED(!setrlimit(RLIMIT_NOFILE, &limit));
	for (int fd = 3; fd < 100; fd++)
		close(fd);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		say(name, "0123456789");
	}
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "file%d", i % 10);
		int fd = open(in_dir(name), O_RDWR);

		NEED(fd >= 0 && (fd == number_of(i) || dup2(fd, number_of(i)) >= 0));
		if (fd != number_of(i))
			close(fd);
		NEED(lseek(number_of(i), i % 7, SEEK_SET) == i % 7);
	}
	int before = count_fds();
	park();
	SAME(count_fds(), before);
	for (int i = 0; i < FILES; i++) {
		SAME(lseek(number_of(i), 0, SEEK_CUR), i % 7);
		NEED(pread(number_of(i), buf, 3, 0) == 3 && !memcmp(buf, "012", 3));
	}
	NEED(fcntl(1000, F_GETFD) == -1 && fcntl(1023, F_GETFD) == 0);
	ok();
}
