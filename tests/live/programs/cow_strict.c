/*
 * No false sharing: a child that has other memory where its parent's was (other contents, another
 * file, a hole, a fresh mapping with zeros, its pages swapped) gets its own back.
 * PROVES: F075
 */
#include "check.h"

static char *mem;

static char *at(long page, int flags, int fd)
{
	char *p =
		mmap(mem + page * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | flags, fd, 0);

	NEED(p == mem + page * PAGE);
	return p;
}

static void child(void *unused)
{
	int fd = open(in_dir("other"), O_RDWR);

	(void)unused;
	fill(at(0, MAP_PRIVATE | MAP_ANONYMOUS, -1), 4 * PAGE, 50);
	at(4, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	at(8, MAP_PRIVATE, fd);
	NEED(!munmap(mem + 12 * PAGE, 4 * PAGE));
	NEED(!madvise(mem + 16 * PAGE, 2 * PAGE, MADV_DONTNEED));
	/* Four pages change places with four others: same contents, another page. */
	NEED(mremap(mem + 20 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     mem + 12 * PAGE) == mem + 12 * PAGE);
	at(24, MAP_SHARED | MAP_ANONYMOUS, -1)[0] = 's';
	child_park();
	need_filled(mem, 4 * PAGE, 50);
	for (size_t i = 4 * PAGE; i < 8 * PAGE; i++)
		NEED(!mem[i]);
	need_filled(mem + 8 * PAGE, 4 * PAGE, 61);
	need_filled(mem + 12 * PAGE, 4 * PAGE, 5);
	for (size_t i = 16 * PAGE; i < 18 * PAGE; i++)
		NEED(!mem[i]);
	need_filled(mem + 18 * PAGE, 2 * PAGE, 104);
	NEED(madvise(mem + 20 * PAGE, PAGE, MADV_NORMAL) == -1 && errno == ENOMEM);
	NEED(mem[24 * PAGE] == 's' && !mem[24 * PAGE + 1]);
	mem[24 * PAGE + 1] = 't';
}

static void write_file(const char *name, int seed)
{
	char buf[4 * PAGE];
	int fd = open(in_dir(name), O_CREAT | O_RDWR, 0600);

	fill(buf, sizeof(buf), seed);
	NEED(write(fd, buf, sizeof(buf)) == sizeof(buf));
	close(fd);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	write_file("one", 60);
	write_file("other", 61);
	mem = mmap(NULL, 28 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(mem != MAP_FAILED);
	for (int i = 0; i < 7; i++)
		if (i != 4)
			fill(mem + i * 4 * PAGE, 4 * PAGE, i);
	fill(mem + 16 * PAGE, 2 * PAGE, 4);
	fill(mem + 18 * PAGE, 2 * PAGE, 104);
	at(8, MAP_PRIVATE, open(in_dir("one"), O_RDWR));
	fill(mem + 9 * PAGE, PAGE, 70);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	need_exit(pid, 0);
	for (int i = 0; i < 7; i++)
		if (i != 4 && i != 2)
			need_filled(mem + i * 4 * PAGE, 4 * PAGE, i);
	need_filled(mem + 16 * PAGE, 2 * PAGE, 4);
	need_filled(mem + 18 * PAGE, 2 * PAGE, 104);
	need_filled(mem + 9 * PAGE, PAGE, 70);
	need_filled(mem + 8 * PAGE, PAGE, 60);
	ok();
}
