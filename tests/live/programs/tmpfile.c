/*
 * Files opened with O_TMPFILE: contents, position, mode, no name; with and without O_EXCL.
 * PROVES: F112
 */
#include "check.h"

int main(int argc, char **argv)
{
	char buf[16];
	struct stat st;

	setup(argc, argv);
	int fd = open(dir, O_TMPFILE | O_RDWR, 0640),
	    excl = open(dir, O_TMPFILE | O_RDWR | O_EXCL, 0600);
	if (fd < 0 && errno == EOPNOTSUPP)
		skip("this file system has no O_TMPFILE");
	NEED(fd >= 0 && excl >= 0 && !fchmod(fd, 0640));
	NEED(write(fd, "nameless", 8) == 8 && lseek(fd, 4, SEEK_SET) == 4);
	NEED(write(excl, "exclusive", 9) == 9);
	park();
	SAME(read(fd, buf, sizeof(buf)), 4);
	NEED(!memcmp(buf, "less", 4));
	NEED(!fstat(fd, &st) && st.st_nlink == 0 && (st.st_mode & 07777) == 0640);
	SAME(pread(excl, buf, sizeof(buf), 0), 9);
	NEED(!memcmp(buf, "exclusive", 9));
	SAME(lseek(excl, 0, SEEK_CUR), 9);
	NEED(!fstat(excl, &st) && st.st_nlink == 0);
	NEED(write(fd, "!", 1) == 1 && pread(fd, buf, 16, 0) == 9 && !memcmp(buf, "nameless!", 9));
	ok();
}
