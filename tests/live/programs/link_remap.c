/*
 * A file whose open name is gone but which has another: after the restore it is that same file,
 * with as many links as before and no helper name left. The links of a dump that leaves the tasks
 * running are removed at once, so such images cannot be restored later.
 * PROVES: F105 F106 F108
 * DUMP: --link-remap
 * VARIANTS: plain cycles child fidelity
 * AFTER: ! find $DIR -name "link_remap*" | grep .
 */
#include "check.h"

int main(int argc, char **argv)
{
	struct stat st, other;
	char buf[16];

	setup(argc, argv);
	NEED(!mkdir(in_dir("sub"), 0755));
	int fd = open(in_dir("one"), O_CREAT | O_RDWR, 0600);
	NEED(fd >= 0 && write(fd, "linked", 6) == 6);
	NEED(!link(in_dir("one"), in_dir("sub/two")) && !link(in_dir("one"), in_dir("three")));
	int again = open(in_dir("three"), O_RDONLY), kept = open(in_dir("sub/two"), O_RDONLY);
	NEED(!unlink(in_dir("one")) && !unlink(in_dir("three")));
	park();
	NEED(!fstat(fd, &st) && !stat(in_dir("sub/two"), &other));
	SAME(st.st_ino, other.st_ino);
	SAME(st.st_nlink, 1);
	NEED(!fstat(again, &other) && st.st_ino == other.st_ino);
	NEED(!fstat(kept, &other) && st.st_ino == other.st_ino);
	SAME(lseek(fd, 0, SEEK_CUR), 6);
	NEED(pwrite(fd, "L", 1, 0) == 1 && read(kept, buf, 16) == 6 && !memcmp(buf, "Linked", 6));
	NEED(!exists("one") && !exists("three"));
	char path[64], target[512];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	NEED(n > 14);
	target[n] = 0;
	NEED(!strcmp(target + n - 14, "/one (deleted)"));
	ok();
}
