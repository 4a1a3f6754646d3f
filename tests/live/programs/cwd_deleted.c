/*
 * The working directory was removed: it still is, and is one the task can leave.
 * PROVES: F020
 */
#include "check.h"

int main(int argc, char **argv)
{
	char buf[512];
	struct stat st;

	setup(argc, argv);
	NEED(!mkdir(in_dir("gone"), 0751) && !mkdir(in_dir("gone/too"), 0710));
	NEED(!chdir(in_dir("gone/too")) && !rmdir(in_dir("gone/too")) && !rmdir(in_dir("gone")));
	park();
	NEED(!stat(".", &st) && S_ISDIR(st.st_mode));
	SAME(st.st_nlink, 0);
	SAME(st.st_mode & 07777, 0710);
	NEED(open("new", O_CREAT | O_WRONLY, 0600) == -1 && errno == ENOENT);
	ssize_t n = readlink("/proc/self/cwd", buf, sizeof(buf) - 1);
	NEED(n > 0);
	buf[n] = 0;
	NEED(strstr(buf, "/gone/too (deleted)") && !strstr(buf, "(deleted) (deleted)"));
	NEED(!exists("gone"));
	NEED(!chdir("/"));
	ok();
}
