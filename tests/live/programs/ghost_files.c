/*
 * Open files without a name: contents, size, owner, mode, times, position; shared by two opens,
 * two tasks, with both of two hard links removed; sparse; empty; inside a removed directory.
 * PROVES: F103 F108 F110 F111
 */
#include "check.h"

enum { KINDS = 5 };

static const char *const name[KINDS] = {
	"plain", "owned", "sparse", "empty", "dir/deep/inner"};
static struct stat before[KINDS];
static int fd[KINDS], second, hard[2];

static int create(const char *file, int flags)
{
	int f = open(in_dir(file), O_CREAT | O_EXCL | flags, 0600);

	NEED(f >= 0);
	return f;
}

static void build(void)
{
	struct timespec times[2] = {{1000000000, 123456000}, {1100000000, 654321000}};

	NEED(!mkdir(in_dir("dir"), 0755) && !mkdir(in_dir("dir/deep"), 0755));
	for (int i = 0; i < KINDS; i++) {
		fd[i] = create(name[i], O_RDWR);
		if (i != 3)
			NEED(write(fd[i], "ghostly data", 12) == 12 &&
				lseek(fd[i], 5, SEEK_SET) == 5);
	}
	second = open(in_dir("plain"), O_RDONLY | O_CLOEXEC);
	NEED(!fchown(fd[1], 123, 456) && !fchmod(fd[1], 04751));
	NEED(pwrite(fd[2], "end", 3, (200L << 20) - 3) == 3);
	hard[0] = create("hard one", O_RDWR);
	NEED(!link(in_dir("hard one"), in_dir("hard two")) && write(hard[0], "both", 4) == 4);
	hard[1] = open(in_dir("hard two"), O_RDWR);
	NEED(!unlink(in_dir("hard one")) && !unlink(in_dir("hard two")));
	for (int i = 0; i < KINDS; i++)
		NEED(!unlink(in_dir(name[i])) && !futimens(fd[i], times));
	NEED(!rmdir(in_dir("dir/deep")) && !rmdir(in_dir("dir")));
	for (int i = 0; i < KINDS; i++)
		NEED(!fstat(fd[i], &before[i]));
}

static void need_link(int f, const char *suffix)
{
	char path[64], target[512];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	NEED(n > 0);
	target[n] = 0;
	char want[600];
	snprintf(want, sizeof(want), "%s/%s (deleted)", dir, suffix);
	if (strcmp(target, want))
		bad("fd %d is %s, not %s", f, target, want);
}

static void need_same(int i)
{
	char buf[16];
	struct stat now;

	NEED(!fstat(fd[i], &now));
	SAME(now.st_nlink, 0);
	SAME(now.st_size, before[i].st_size);
	SAME(now.st_mode, before[i].st_mode);
	SAME(now.st_uid, before[i].st_uid);
	SAME(now.st_gid, before[i].st_gid);
	SAME(now.st_atim.tv_sec, before[i].st_atim.tv_sec);
	SAME(now.st_atim.tv_nsec / 1000, before[i].st_atim.tv_nsec / 1000);
	SAME(now.st_mtim.tv_sec, before[i].st_mtim.tv_sec);
	SAME(now.st_mtim.tv_nsec / 1000, before[i].st_mtim.tv_nsec / 1000);
	NEED(now.st_blocks <= before[i].st_blocks + 64);
	need_link(fd[i], name[i]);
	SAME(lseek(fd[i], 0, SEEK_CUR), i == 3 ? 0 : 5);
	if (i != 3)
		NEED(pread(fd[i], buf, 12, 0) == 12 && !memcmp(buf, "ghostly data", 12));
}

static void child(void *unused)
{
	(void)unused;
	child_park();
	NEED(lseek(fd[0], 0, SEEK_CUR) == 5 && pwrite(fd[0], "G", 1, 0) == 1);
}

int main(int argc, char **argv)
{
	char buf[32];

	setup(argc, argv);
	build();
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	for (int i = 1; i < KINDS; i++)
		need_same(i);
	need_exit(pid, 0);
	NEED(pread(second, buf, 12, 0) == 12 && !memcmp(buf, "Ghostly data", 12));
	SAME(fcntl(second, F_GETFD), FD_CLOEXEC);
	NEED(pread(fd[2], buf, 4, (200L << 20) - 4) == 4 && !memcmp(buf, "\0end", 4));
	NEED(pread(fd[2], buf, 1, 100L << 20) == 1 && !buf[0]);
	/* Both names led to one file. */
	NEED(pwrite(hard[0], "Both", 4, 0) == 4 && pread(hard[1], buf, 4, 0) == 4);
	NEED(!memcmp(buf, "Both", 4));
	for (int i = 0; i < KINDS; i++)
		NEED(!exists(name[i]));
	NEED(!exists("hard one") && !exists("hard two") && !exists("dir"));
	ok();
}
