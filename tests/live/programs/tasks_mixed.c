/*
 * A crowd so large that much of it is read all at once, in which many have something that the rest
 * has not: a score and a login uid, timers, directories, flags of mappings, an executable, a table
 * or directories shared with the parent. With an argument, a last one that is to be refused: "uts"
 * lives in a namespace of its own, "files" shares its descriptors with a sibling.
 * PROVES: F008 F015 F019 F099 F096
 */
#include "check.h"

#include <linux/kcmp.h>
#include <sys/mman.h>
#include <sched.h>
#include <sys/syscall.h>

enum { COUNT = 48, SHARES_FILES = 41, SHARES_FS, OTHER_EXE };
static int gate[2], up[2];
static pid_t pids[COUNT];

static void put(const char *file, int value)
{
	char text[16];
	int fd = open(file, O_WRONLY | O_CLOEXEC), n = sprintf(text, "%d", value);

	if (fd < 0 || write(fd, text, n) != n)
		skip(file);
	close(fd);
}

static int get(const char *file)
{
	char text[64];

	slurp(file, text, sizeof(text));
	return atoi(text);
}

static const char *own_dir(int i)
{
	static char name[16];

	sprintf(name, "dir.%d", i);
	return in_dir(name);
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	NEED(!stat(path, &st));
	return st.st_ino;
}

struct own {
	timer_t timer;
	int score, login;
	ino_t cwd, root;
};

/* Two pages, of which the second has what its neighbour lacks; and one of a kind. */
static void map_odd(int i)
{
	static const int advices[] = {MADV_SEQUENTIAL, MADV_RANDOM, MADV_DONTFORK, MADV_DONTDUMP,
		MADV_WIPEONFORK, MADV_MERGEABLE, MADV_NOHUGEPAGE};
	static const int flags[] = {MAP_NORESERVE, MAP_GROWSDOWN, MAP_LOCKED};
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(p != MAP_FAILED);
	NEED(!madvise(p + PAGE, PAGE, advices[i % (sizeof(advices) / sizeof(*advices))]));
	p[0] = p[PAGE] = (char)i;
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | flags[i % (sizeof(flags) / sizeof(*flags))], -1, 0);
	NEED(p != MAP_FAILED);
	p[0] = (char)i;
}

static void differ(struct own *own, int i)
{
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	struct itimerspec when = {.it_value = {100000 + i, 0}};

	map_odd(i);
	if (i % 3 == 0)
		put("/proc/self/oom_score_adj", own->score = 300 + i);
	if (i % 4 == 0 && i % 7 != 2) /* it is set from inside of the root */
		put("/proc/self/loginuid", own->login = 1000 + i);
	if (i % 5 == 0)
		NEED(!timer_create(CLOCK_MONOTONIC, &none, &own->timer) &&
			!timer_settime(own->timer, 0, &when, NULL));
	if (i % 3 == 1 && i != SHARES_FS)
		NEED(!mkdir(own_dir(i), 0755) && !chdir(own_dir(i)));
	own->cwd = inode_of(".");
	if (i % 7 == 2)
		NEED(!chroot("/proc") && !chdir("/"));
	own->root = inode_of("/");
}

static void check(const struct own *own, int i)
{
	struct itimerspec left;

	NEED(inode_of("/") == own->root);
	if (i % 7 == 2)
		return; /* the rest is not below its root */
	NEED(inode_of(".") == own->cwd);
	SAME(get("/proc/self/oom_score_adj"), own->score);
	SAME(get("/proc/self/loginuid"), own->login);
	if (i % 5 == 0)
		NEED(!timer_gettime(own->timer, &left) && left.it_value.tv_sec > 90000);
}

static void child(int i)
{
	struct own own = {
		.score = get("/proc/self/oom_score_adj"), .login = get("/proc/self/loginuid")};
	char b;

	if (i != SHARES_FILES)
		close(gate[1]);
	if (i < SHARES_FILES || i > SHARES_FS)
		differ(&own, i);
	if (i == SHARES_FILES || i == SHARES_FS)
		own.cwd = inode_of("."), own.root = inode_of("/");
	NEED(write(up[1], "u", 1) == 1);
	SAME(read(gate[0], &b, 1), 0);
	if (i < SHARES_FILES || i > SHARES_FS)
		check(&own, i);
	_exit(0);
}

static pid_t start(int i)
{
	int flags = i == SHARES_FILES ? CLONE_FILES : i == SHARES_FS ? CLONE_FS : 0;
	pid_t pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	char b;

	NEED(pid >= 0);
	if (!pid && i == OTHER_EXE) {
		close(gate[1]);
		NEED(write(up[1], "u", 1) == 1);
		execl("/bin/sleep", "sleep", "100000", NULL);
	}
	if (!pid)
		child(i);
	NEED(read(up[0], &b, 1) == 1);
	return pid;
}

static bool shares(pid_t pid, int type)
{
	return syscall(SYS_kcmp, getpid(), pid, type, 0, 0) == 0;
}

static void check_sharing(void)
{
	for (int i = 0; i < COUNT; i++) {
		SAME(shares(pids[i], KCMP_FILES), i == SHARES_FILES);
		SAME(shares(pids[i], KCMP_FS), i == SHARES_FS);
		NEED(!shares(pids[i], KCMP_VM));
	}
}

/* It has a child if it is the table that is shared. */
static void refused(const char *kind)
{
	pid_t pid;
	char b;

	close(gate[1]);
	if (!strcmp(kind, "uts"))
		NEED(!unshare(CLONE_NEWUTS));
	else
		NEED((pid = syscall(SYS_clone, CLONE_FILES | CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)) >=
			0);
	NEED(write(up[1], "u", 1) == 1);
	SAME(read(gate[0], &b, 1), 0);
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *kind = argc > 2 ? argv[2] : NULL;
	int n_refused = !kind ? 0 : strcmp(kind, "files") ? 1 : 2;
	char b;

	setup(argc, argv);
	NEED(!pipe(gate) && !pipe(up));
	for (int i = 0; i < COUNT; i++)
		pids[i] = start(i);
	if (kind && !fork())
		refused(kind);
	for (int i = 0; i < n_refused; i++)
		NEED(read(up[0], &b, 1) == 1);
	check_sharing();
	park();
	check_sharing();
	close(gate[1]);
	NEED(!kill(pids[OTHER_EXE], SIGKILL));
	for (int i = 0; i < COUNT; i++)
		if (i != OTHER_EXE)
			need_exit(pids[i], 0);
	ok();
}
