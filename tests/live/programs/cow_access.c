/*
 * A child and a grandchild opened a little of what their parent keeps without access, as renderers
 * of a browser do with the reservation of their zygote: a page of a PROT_NONE reservation, and a
 * page of a read-only private mapping of a file.  What each wrote there is its own.
 * PROVES: F074
 */
#include "check.h"

enum { PAGES = 64 };

static char *area, *text;

static void write_page(char *page, char c)
{
	NEED(!mprotect(page, PAGE, PROT_READ | PROT_WRITE));
	memset(page, c, PAGE);
}

static void check_page(const char *page, char c)
{
	for (size_t i = 0; i < PAGE; i++)
		SAME(page[i], c);
}

static int access_of(const char *page)
{
	int prot = 0, pipes[2];

	NEED(!pipe2(pipes, O_NONBLOCK));
	if (write(pipes[1], page, 1) == 1)
		prot |= PROT_READ;
	if (read(pipes[0], (char *)page, 1) == 1)
		prot |= PROT_WRITE;
	close(pipes[0]);
	close(pipes[1]);
	return prot;
}

static void grandchild(void *unused)
{
	(void)unused;
	write_page(area + 9 * PAGE, 'g');
	write_page(text + 2 * PAGE, 'g');
	NEED(!mprotect(text + 2 * PAGE, PAGE, PROT_READ));
	child_park();
	check_page(area + 5 * PAGE, 'c');
	check_page(area + 9 * PAGE, 'g');
	check_page(text + 1 * PAGE, 'c');
	check_page(text + 2 * PAGE, 'g');
	SAME(access_of(area), 0);
	SAME(access_of(area + 9 * PAGE), PROT_READ | PROT_WRITE);
	SAME(access_of(text), PROT_READ);
	SAME(access_of(text + 2 * PAGE), PROT_READ);
}

static void child(void *unused)
{
	write_page(area + 5 * PAGE, 'c');
	write_page(text + 1 * PAGE, 'c');
	pid_t pid = spawn(grandchild, unused);

	await_child(pid);
	child_park();
	need_exit(pid, 0);
	check_page(area + 5 * PAGE, 'c');
	check_page(text + 1 * PAGE, 'c');
	check_page(text + 2 * PAGE, 'f');
	SAME(access_of(area + 9 * PAGE), 0);
}

static void map_text(void)
{
	char page[PAGE];
	int fd = open(in_dir("text"), O_RDWR | O_CREAT, 0600);

	NEED(fd >= 0);
	memset(page, 'f', PAGE);
	for (int i = 0; i < 4; i++)
		NEED(write(fd, page, PAGE) == (ssize_t)PAGE);
	text = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	NEED(text != MAP_FAILED);
	close(fd);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	area = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(area != MAP_FAILED);
	map_text();
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	park();
	for (int i = 0; i < PAGES; i++)
		SAME(access_of(area + i * PAGE), 0);
	for (int i = 0; i < 4; i++)
		check_page(text + i * PAGE, 'f');
	need_exit(pid, 0);
	ok();
}
