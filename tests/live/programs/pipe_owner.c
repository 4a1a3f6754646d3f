/*
 * Owner and mode of a pipe: given to it, as those of a user are by pipe(2) itself, and one that
 * both ends were closed of but for a copy opened by /proc.
 * PROVES: F132
 */
#include "check.h"

static void need_owner(int fd, unsigned uid, unsigned gid, unsigned mode)
{
	struct stat st;

	NEED(!fstat(fd, &st));
	SAME(st.st_uid, uid);
	SAME(st.st_gid, gid);
	SAME(st.st_mode, S_IFIFO | mode);
}

int main(int argc, char **argv)
{
	int given[2], users[2], plain[2], copied[2], copy;
	char path[40];

	setup(argc, argv);
	NEED(!pipe(given) && !pipe(plain) && !pipe(copied));
	NEED(!fchown(given[0], 1234, 1235) && !fchmod(given[1], 0666));
	NEED(!syscall(SYS_setresgid, -1, 4243, -1) && !syscall(SYS_setresuid, -1, 4242, -1));
	NEED(!pipe(users));
	NEED(!syscall(SYS_setresuid, -1, 0, -1) && !syscall(SYS_setresgid, -1, 0, -1));
	NEED(!fchmod(copied[0], 0640) && write(copied[1], "left", 4) == 4);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", copied[0]);
	copy = open(path, O_RDONLY | O_NONBLOCK);
	NEED(copy >= 0 && !close(copied[0]) && !close(copied[1]));
	park();
	need_owner(given[0], 1234, 1235, 0666);
	need_owner(given[1], 1234, 1235, 0666);
	need_owner(users[0], 4242, 4243, 0600);
	need_owner(plain[1], 0, 0, 0600);
	need_owner(copy, 0, 0, 0640);
	NEED(read(copy, path, sizeof(path)) == 4 && !memcmp(path, "left", 4));
	ok();
}
