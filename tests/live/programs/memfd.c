/*
 * Memory files: contents, size, seals, position; mapped shared and private, by two tasks, with a
 * descriptor and without; two of the same name stay two.
 * PROVES: F065 F095
 */
#include "check.h"

static int fd[3];
static char *shared, *private, *alone;

static void child(void *unused)
{
	(void)unused;
	child_park();
	need_filled(shared, PAGE, 1);
	fill(shared + PAGE, PAGE, 50);
	SAME(lseek(fd[0], 0, SEEK_CUR), 123);
	SAME(lseek(fd[0], 456, SEEK_SET), 456);
}

static int make(const char *name, unsigned int flags, long pages, int seed)
{
	char buf[8 * PAGE];
	int f = memfd_create(name, flags);

	fill(buf, pages * PAGE, seed);
	NEED(f >= 0 && write(f, buf, pages * PAGE) == (ssize_t)(pages * PAGE));
	return f;
}

int main(int argc, char **argv)
{
	static const int rw = PROT_READ | PROT_WRITE;
	char buf[PAGE];
	struct stat st;

	setup(argc, argv);
	fd[0] = make("twin", MFD_ALLOW_SEALING, 4, 1);
	fd[1] = make("twin", MFD_CLOEXEC, 2, 2);
	fd[2] = make("sealed name", MFD_ALLOW_SEALING, 3, 3);
	int gone = make("", 0, 2, 4);
	NEED(!ftruncate(fd[1], 100 * PAGE) && lseek(fd[0], 123, SEEK_SET) == 123);
	shared = mmap(NULL, 4 * PAGE, rw, MAP_SHARED, fd[0], 0);
	private = mmap(NULL, 2 * PAGE, rw, MAP_PRIVATE, fd[1], 0);
	alone = mmap(NULL, 2 * PAGE, rw, MAP_SHARED, gone, 0);
	NEED(shared != MAP_FAILED && private != MAP_FAILED && alone != MAP_FAILED);
	close(gone);
	need_filled(shared, PAGE, 1);
	fill(private, PAGE, 20);
	fill(shared + 2 * PAGE, PAGE, 21);
	NEED(!fcntl(fd[0], F_ADD_SEALS, F_SEAL_SHRINK));
	NEED(!fcntl(fd[2], F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL));
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	need_exit(pid, 0);
	SAME(lseek(fd[0], 0, SEEK_CUR), 456);
	need_filled(shared + PAGE, PAGE, 50);
	need_filled(shared + 2 * PAGE, PAGE, 21);
	NEED(pread(fd[0], buf, PAGE, PAGE) == (ssize_t)PAGE);
	need_filled(buf, PAGE, 50);
	need_filled(private, PAGE, 20);
	NEED(pread(fd[1], buf, PAGE, PAGE) == (ssize_t)PAGE);
	NEED(!fstat(fd[1], &st) && st.st_size == 100 * (long)PAGE);
	need_filled(alone, PAGE, 4);
	SAME(fcntl(fd[0], F_GET_SEALS), F_SEAL_SHRINK);
	SAME(fcntl(fd[1], F_GET_SEALS), F_SEAL_SEAL);
	SAME(fcntl(fd[2], F_GET_SEALS), F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL);
	SAME(fcntl(fd[1], F_GETFD), FD_CLOEXEC);
	SAME(fcntl(fd[0], F_GETFD), 0);
	NEED(write(fd[2], "x", 1) == -1 && errno == EPERM);
	NEED(ftruncate(fd[0], PAGE) == -1 && errno == EPERM);
	NEED(!ftruncate(fd[0], 6 * PAGE) && !ftruncate(fd[1], PAGE));
	ok();
}
