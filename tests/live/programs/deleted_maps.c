/*
 * Mapped files that were removed: private, shared, shared between two tasks, one with a descriptor
 * still open and one without.
 * PROVES: F093
 */
#include "check.h"

static char *private, *shared, *alone;
static int fd;

static char *map(const char *name, int flags, int seed, int *ret_fd)
{
	char page[3 * PAGE];
	int f = open(in_dir(name), O_CREAT | O_RDWR, 0640);

	fill(page, sizeof(page), seed);
	NEED(f >= 0 && write(f, page, sizeof(page)) == sizeof(page));
	char *p = mmap(NULL, sizeof(page), PROT_READ | PROT_WRITE, flags, f, 0);
	NEED(p != MAP_FAILED && !unlink(in_dir(name)));
	if (ret_fd)
		*ret_fd = f;
	else
		close(f);
	return p;
}

static void child(void *unused)
{
	(void)unused;
	child_park();
	fill(shared + 2 * PAGE, PAGE, 99);
	fill(private + PAGE, PAGE, 98);
}

int main(int argc, char **argv)
{
	char page[PAGE];
	struct stat st;

	setup(argc, argv);
	private = map("private", MAP_PRIVATE, 1, NULL);
	shared = map("shared", MAP_SHARED, 2, &fd);
	alone = map("alone", MAP_SHARED, 3, NULL);
	fill(private + 2 * PAGE, PAGE, 11);
	fill(alone, PAGE, 12);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	need_exit(pid, 0);
	need_filled(private, PAGE, 1);
	need_filled(private + 2 * PAGE, PAGE, 11);
	need_filled(shared, PAGE, 2);
	need_filled(shared + 2 * PAGE, PAGE, 99);
	need_filled(alone, PAGE, 12);
	NEED(pread(fd, page, PAGE, 2 * PAGE) == (ssize_t)PAGE);
	need_filled(page, PAGE, 99);
	NEED(!fstat(fd, &st) && st.st_nlink == 0);
	NEED(!exists("private") && !exists("shared") && !exists("alone"));
	ok();
}
