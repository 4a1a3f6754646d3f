/* The one wrapper of syscalls.h that needs another header: statx(2), STATX_MNT_ID (Linux 5.8). */
#include "kernel/syscalls.h"

#include <fcntl.h>
#include <sys/stat.h>

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
