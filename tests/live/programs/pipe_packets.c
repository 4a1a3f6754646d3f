/*
 * Pipes in packet mode (O_DIRECT): after the restore each write is one read again. What was queued
 * before comes out complete and in order.
 * PROVES: F132
 */
#include "check.h"

int main(int argc, char **argv)
{
	char buf[64];
	size_t n = 0;
	int p[2];

	setup(argc, argv);
	NEED(!pipe2(p, O_DIRECT));
	NEED(write(p[1], "one", 3) == 3 && write(p[1], "three", 5) == 5);
	park();
	NEED(fcntl(p[1], F_GETFL) & O_DIRECT);
	while (n < 8) {
		ssize_t got = read(p[0], buf + n, sizeof(buf) - n);

		NEED(got > 0);
		n += got;
	}
	SAME(n, 8);
	NEED(!memcmp(buf, "onethree", 8));
	NEED(write(p[1], "ab", 2) == 2 && write(p[1], "cde", 3) == 3);
	SAME(read(p[0], buf, 64), 2);
	SAME(read(p[0], buf, 64), 3);
	ok();
}
