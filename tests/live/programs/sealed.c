/*
 * Memory sealed by mseal(2), of this task and of a child that inherited it, has its contents and
 * is still sealed: it cannot be unmapped, moved, or given another access; its neighbour can.
 * PROVES: F067
 */
#include "check.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

#define LEN (4 * PAGE)

static char *plain, *read_only, *closed, *neighbour, *shared, *file;

static void need_sealed(char *p)
{
	NEED(munmap(p, LEN) < 0 && errno == EPERM);
	NEED(mprotect(p, LEN, PROT_READ | PROT_EXEC) < 0 && errno == EPERM);
	NEED(mremap(p, LEN, 2 * LEN, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM);
}

static void build(void)
{
	plain = mmap(NULL, 4 * LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(plain != MAP_FAILED);
	read_only = plain + LEN;
	closed = plain + 2 * LEN;
	neighbour = plain + 3 * LEN;
	fill(plain, 4 * LEN, 7);
	NEED(!mprotect(read_only, LEN, PROT_READ) && !mprotect(closed, LEN, PROT_NONE));
	NEED(!syscall(SYS_mseal, plain, 3 * LEN, 0));

	int fd = memfd_create("sealed", 0), self = open("/proc/self/exe", O_RDONLY);
	NEED(fd >= 0 && !ftruncate(fd, LEN) && self >= 0);
	shared = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	file = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, self, 0);
	NEED(shared != MAP_FAILED && file != MAP_FAILED);
	fill(shared, LEN, 8);
	NEED(!syscall(SYS_mseal, shared, LEN, 0) && !syscall(SYS_mseal, file, LEN, 0));
}

static void check(void)
{
	char *sealed[] = {plain, read_only, closed, shared, file};
	for (size_t i = 0; i < sizeof(sealed) / sizeof(*sealed); i++)
		need_sealed(sealed[i]);
	NEED(madvise(read_only, PAGE, MADV_DONTNEED) < 0 && errno == EPERM);
	need_filled(shared, LEN, 8);
	NEED(!memcmp(file, "\177ELF", 4));

	char *as_before =
		mmap(NULL, 4 * LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(as_before != MAP_FAILED);
	fill(as_before, 4 * LEN, 7);
	NEED(!memcmp(plain, as_before, 2 * LEN) && !memcmp(neighbour, as_before + 3 * LEN, LEN));
	NEED(!munmap(neighbour, LEN));
}

static void be_child(void *unused UNUSED)
{
	child_park();
	check();
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	if (syscall(SYS_mseal, 0, 0, 0) < 0)
		skip("no mseal() before Linux 6.10");
	build();
	pid_t child = spawn(be_child, NULL);
	await_child(child);
	park();
	check();
	need_exit(child, 0);
	ok();
}
