/* The wrappers of syscalls.h that need other headers: poll(2); statx(2), STATX_MNT_ID (Linux 5.8). */
#include "kernel/syscalls.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

int sys_poll_now(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int r;
	do
		r = poll(&p, 1, 0);
	while (r < 0 && errno == EINTR); /* any signal, even with no time to wait */
	return r < 0 ? -errno : p.revents;
}

int sys_mount_id(int dirfd, const char *path, int flags, uint64_t *ret)
{
	struct statx stx;
	if (statx(dirfd, path, flags | AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx))
		return -errno;
	if (!(stx.stx_mask & STATX_MNT_ID))
		return -EOPNOTSUPP;
	*ret = stx.stx_mnt_id;
	return 0;
}
