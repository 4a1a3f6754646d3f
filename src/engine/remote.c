/*
 * /proc/PID/mem reads and writes whatever is mapped, read-only and PROT_NONE pages too (a write to
 * a private page makes a copy first).
 */
#include "engine/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"

static int open_mem(pid_t pid, int flags)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int remote_read(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	_cleanup_close_ int fd = open_mem(pid, O_RDONLY);
	if (fd < 0)
		return fd;
	ssize_t n = pread(fd, buf, len, (off_t)addr);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

int remote_write(pid_t pid, uint64_t addr, const void *buf, size_t len)
{
	_cleanup_close_ int fd = open_mem(pid, O_RDWR);
	if (fd < 0)
		return fd;
	ssize_t n = pwrite(fd, buf, len, (off_t)addr);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}
