/*
 * Mappings of one file: private with changed pages, private read-only with changed pages (as
 * RELRO), private and writable from a read-only descriptor, shared and writable, shared and
 * read-only of both kinds, executable, from the middle, past the end, and many single pages in
 * disorder. PROVES: F066 F073
 */
#include "check.h"
#include <setjmp.h>

enum { PAGES = 16, SINGLES = 200 };

static int fd_rw, fd_ro;
static sigjmp_buf fault;

static char *map(int fd, int prot, int flags, long first, long pages)
{
	char *p = mmap(NULL, pages * PAGE, prot, flags, fd, first * PAGE);

	NEED(p != MAP_FAILED);
	return p;
}

static void on_fault(int sig)
{
	siglongjmp(fault, sig);
}

static int poke(volatile char *p, bool write)
{
	int sig = sigsetjmp(fault, 1);

	if (sig)
		return sig;
	if (write)
		*p = 1;
	else
		(void)*p;
	return 0;
}

int main(int argc, char **argv)
{
	static char page[PAGE];
	char *single[SINGLES];

	setup(argc, argv);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	fd_rw = open(in_dir("file"), O_CREAT | O_RDWR, 0600);
	fd_ro = open(in_dir("file"), O_RDONLY);
	NEED(fd_rw >= 0 && fd_ro >= 0);
	for (int i = 0; i < PAGES; i++) {
		fill(page, PAGE, i);
		NEED(write(fd_rw, page, PAGE) == (ssize_t)PAGE);
	}
	const int rw = PROT_READ | PROT_WRITE, ro = PROT_READ;
	char *cow = map(fd_rw, rw, MAP_PRIVATE, 0, PAGES),
	     *cow_ro = map(fd_ro, rw, MAP_PRIVATE, 4, 8),
	     *relro = map(fd_ro, rw, MAP_PRIVATE, 2, 6),
	     *shared = map(fd_rw, rw, MAP_SHARED, 0, PAGES),
	     *shared_ro = map(fd_ro, ro, MAP_SHARED, 3, 3),
	     *maywrite = map(fd_rw, ro, MAP_SHARED, 1, 2),
	     *code = map(fd_ro, PROT_READ | PROT_EXEC, MAP_PRIVATE, 7, 1),
	     *past = map(fd_rw, rw, MAP_PRIVATE, 14, 6),
	     *none = map(fd_rw, PROT_NONE, MAP_SHARED, 0, 3);
	fill(cow + 3 * PAGE, PAGE, 103);
	fill(cow + 7 * PAGE, 2 * PAGE, 107);
	fill(cow_ro, PAGE, 204);
	fill(relro + PAGE, 2 * PAGE, 303);
	NEED(!mprotect(relro, 6 * PAGE, PROT_READ));
	fill(past + PAGE, PAGE, 415);
	for (int i = 0; i < SINGLES; i++)
		single[i] = map(i % 2 ? fd_rw : fd_ro, i % 2 ? rw : ro,
			i % 4 < 2 ? MAP_SHARED : MAP_PRIVATE, mix(i) % PAGES, 1);
	close(fd_ro);
	park();
	for (int i = 0; i < PAGES; i++) {
		if (i == 7)
			need_filled(cow + 7 * PAGE, 2 * PAGE, 107);
		else if (i != 8)
			need_filled(cow + i * PAGE, PAGE, i == 3 ? 103 : i);
		need_filled(shared + i * PAGE, PAGE, i);
	}
	need_filled(cow_ro, PAGE, 204);
	need_filled(cow_ro + PAGE, PAGE, 5);
	need_filled(relro, PAGE, 2);
	need_filled(relro + PAGE, 2 * PAGE, 303);
	need_filled(relro + 3 * PAGE, PAGE, 5);
	need_filled(past, PAGE, 14);
	need_filled(past + PAGE, PAGE, 415);
	for (int i = 0; i < 3; i++)
		need_filled(shared_ro + i * PAGE, PAGE, 3 + i);
	need_filled(code, PAGE, 7);
	for (int i = 0; i < SINGLES; i++)
		need_filled(single[i], PAGE, mix(i) % PAGES);
	SAME(poke(relro, true), SIGSEGV);
	SAME(poke(past + 2 * PAGE, false), SIGBUS);
	SAME(poke(none, false), SIGSEGV);
	NEED(mprotect(shared_ro, PAGE, rw) == -1 && errno == EACCES);
	NEED(!mprotect(maywrite, 2 * PAGE, rw) && !mprotect(none, 3 * PAGE, ro));
	/* Shared means shared: with the file, with the other mappings; private means private. */
	fill(maywrite, PAGE, 501);
	NEED(pread(fd_rw, page, PAGE, PAGE) == (ssize_t)PAGE);
	need_filled(page, PAGE, 501);
	need_filled(none + PAGE, PAGE, 501);
	fill(shared + 3 * PAGE, PAGE, 503);
	need_filled(shared_ro, PAGE, 503);
	need_filled(cow + 3 * PAGE, PAGE, 103);
	fill(cow + 4 * PAGE, PAGE, 504);
	need_filled(shared + 4 * PAGE, PAGE, 4);
	ok();
}
