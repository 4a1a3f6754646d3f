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

int remote_open(pid_t pid)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int remote_read_at(int mem, uint64_t addr, void *buf, size_t len)
{
	ssize_t n = pread(mem, buf, len, (off_t)addr);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

int remote_write_at(int mem, uint64_t addr, const void *buf, size_t len)
{
	ssize_t n = pwrite(mem, buf, len, (off_t)addr);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

int remote_read(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	_cleanup_close_ int mem = remote_open(pid);
	return mem < 0 ? mem : remote_read_at(mem, addr, buf, len);
}

int remote_write(pid_t pid, uint64_t addr, const void *buf, size_t len)
{
	_cleanup_close_ int mem = remote_open(pid);
	return mem < 0 ? mem : remote_write_at(mem, addr, buf, len);
}
