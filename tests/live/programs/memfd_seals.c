/*
 * Mappings of sealed memory files: one that was made read-only under F_SEAL_WRITE, or under
 * F_SEAL_FUTURE_WRITE, can never be made writable; one that was writable before stays so.
 * PROVES: F095
 */
#include "check.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

enum { RW = PROT_READ | PROT_WRITE };

static int make(const char *name, int seed)
{
	char buf[PAGE];
	int fd = memfd_create(name, MFD_ALLOW_SEALING);

	fill(buf, PAGE, seed);
	NEED(fd >= 0 && write(fd, buf, PAGE) == (ssize_t)PAGE);
	return fd;
}

static char *map(int fd, int prot)
{
	return mmap(NULL, PAGE, prot, MAP_SHARED, fd, 0);
}

int main(int argc, char **argv)
{
	char c;

	setup(argc, argv);
	int written = make("never written", 1), future = make("no new writers", 2);
	char *before = map(future, RW);
	NEED(!fcntl(written, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
	NEED(!fcntl(future, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	char *sealed = map(written, PROT_READ); /* EPERM before Linux 6.7 */
	char *after = map(future, PROT_READ);
	NEED(before != MAP_FAILED && after != MAP_FAILED);
	NEED(sealed == MAP_FAILED || mprotect(sealed, PAGE, RW));
	NEED(mprotect(after, PAGE, RW));
	park();
	SAME(fcntl(written, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_SHRINK);
	SAME(fcntl(future, F_GET_SEALS), F_SEAL_FUTURE_WRITE);
	if (sealed != MAP_FAILED) {
		need_filled(sealed, PAGE, 1);
		SAME(mprotect(sealed, PAGE, RW), -1);
	}
	need_filled(after, PAGE, 2);
	SAME(mprotect(after, PAGE, RW), -1);
	before[7] = 77;
	SAME(after[7], 77);
	NEED(pread(future, &c, 1, 7) == 1 && c == 77);
	NEED(write(future, "x", 1) == -1 && errno == EPERM);
	NEED(map(future, RW) == MAP_FAILED);
	ok();
}
