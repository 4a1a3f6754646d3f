/*
 * Files, mapped and open, and a working directory with odd characters in their names: blanks,
 * quotes, backslash, newline, tab, UTF-8, bytes that are no UTF-8, and a name that ends in
 * " (deleted)" without being so.
 * PROVES: F127
 */
#include "check.h"

int main(int argc, char **argv)
{
	static const char *const name[] = {"two  blanks ", "back\\slash", "back\\040slash",
		"new\nline", "tab\tname", "\"quotes'`$x`", "na\xc3\xafve \xe2\x9c\x93",
		"raw \xff\xfe bytes", "not (deleted)", "a:b,c=d;e|f", "-rf *", " leading", "...",
		"%s%n"};
	enum { NAMES = sizeof(name) / sizeof(name[0]) };
	struct stat before, now;
	char buf[64], cwd[512];
	char *map[NAMES];
	int fd[NAMES];

	setup(argc, argv);
	NEED(!mkdir(in_dir("odd \\ dir\n(deleted)"), 0755));
	for (int i = 0; i < NAMES; i++) {
		fd[i] = open(in_dir(name[i]), O_CREAT | O_RDWR, 0600);
		NEED(fd[i] >= 0 &&
			write(fd[i], name[i], strlen(name[i])) == (ssize_t)strlen(name[i]));
		map[i] = mmap(NULL, PAGE, PROT_READ, i % 2 ? MAP_SHARED : MAP_PRIVATE, fd[i], 0);
		NEED(map[i] != MAP_FAILED && lseek(fd[i], i, SEEK_SET) == i);
	}
	NEED(!chdir(in_dir("odd \\ dir\n(deleted)")));
	park();
	for (int i = 0; i < NAMES; i++) {
		NEED(!fstat(fd[i], &now) && !stat(in_dir(name[i]), &before));
		SAME(now.st_ino, before.st_ino);
		SAME(lseek(fd[i], 0, SEEK_CUR), i);
		NEED(pread(fd[i], buf, 64, 0) == (ssize_t)strlen(name[i]));
		NEED(!memcmp(buf, name[i], strlen(name[i])) && !strcmp(map[i], name[i]));
	}
	NEED(getcwd(cwd, sizeof(cwd)) && strstr(cwd, "/odd \\ dir\n(deleted)"));
	ok();
}
