/* See fuzz.h. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the tool's; libFuzzer and replay.c speak on stderr. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	MUST(freopen("/dev/null", "w", stdout));
	return 0;
}

void fuzz_session(struct session *s)
{
	session_init(s);
	s->log.level = -1;
}

int fuzz_file(const void *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	MUST(fd >= 0 && (!size || pwrite(fd, data, size, 0) == (ssize_t)size));
	return fd;
}

char *fuzz_slurp(int fd, size_t *ret_size)
{
	struct stat st;
	MUST(fstat(fd, &st) == 0);
	char *data = calloc(1, (size_t)st.st_size + 1);
	MUST(data && pread(fd, data, (size_t)st.st_size, 0) == st.st_size);
	*ret_size = (size_t)st.st_size;
	return data;
}

struct fuzz_name fuzz_name(int fd)
{
	struct fuzz_name name;
	snprintf(name.path, sizeof(name.path), "/proc/self/fd/%d", fd);
	return name;
}
