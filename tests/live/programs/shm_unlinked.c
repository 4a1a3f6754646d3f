/*
 * Removed shared memory as shm_open(3) makes it, with O_NOFOLLOW: two descriptors that are two open
 * files, and a mapping.
 * PROVES: F087
 */
#include "check.h"

int main(int argc, char **argv)
{
	setup(argc, argv);
	int a = open(in_dir("segment"), O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	int b = open(in_dir("segment"), O_RDONLY | O_NOFOLLOW);
	char *m, text[8] = "", link[600] = "";
	NEED(a >= 0 && b >= 0 && !ftruncate(a, 2 * PAGE));
	m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0);
	NEED(m != MAP_FAILED && !unlink(in_dir("segment")));
	strcpy(m + PAGE, "hello");
	NEED(lseek(b, 7, SEEK_SET) == 7);
	park();
	NEED(pread(b, text, 6, PAGE) == 6 && !strcmp(text, "hello"));
	strcpy(m + PAGE, "world");
	NEED(pread(a, text, 6, PAGE) == 6 && !strcmp(text, "world"));
	NEED(lseek(b, 0, SEEK_CUR) == 7 && fcntl(a, F_GETFL) & O_NOFOLLOW);
	SAME(fcntl(b, F_GETFL) & (O_NOFOLLOW | O_ACCMODE), O_NOFOLLOW | O_RDONLY);
	NEED(!exists("segment"));
	snprintf(text, sizeof(text), "%d", b);
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%s", text);
	NEED(readlink(path, link, sizeof(link) - 1) > 0 && strstr(link, "/segment (deleted)"));
	ok();
}
