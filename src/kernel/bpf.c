#include "kernel/bpf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));
	return r < 0 ? -errno : (int)r;
}

/* Linux before 6.16 cannot map it. */
static bool copy_btf(int fd, const struct kernel_btf *b)
{
	size_t have = 0;
	while (have < b->len) {
		ssize_t n = read(fd, (char *)b->text + have, b->len - have);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

bool kernel_btf_get(struct kernel_btf *ret)
{
	struct stat st;
	_cleanup_close_ int fd = open(KERNEL_BTF, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return false;
	size_t len = (size_t)st.st_size;
	void *text = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	bool copy = text == MAP_FAILED;
	if (copy)
		text = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (text == MAP_FAILED)
		return false;
	*ret = (struct kernel_btf){text, len};
	return !copy || copy_btf(fd, ret);
}

void kernel_btf_free(const struct kernel_btf *b)
{
	if (b->text)
		munmap(b->text, b->len);
}
