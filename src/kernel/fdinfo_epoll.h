/* What fdinfo says of an epoll set (fs/eventpoll.c ep_show_fdinfo()). */
#ifndef FERMATA_KERNEL_FDINFO_EPOLL_H
#define FERMATA_KERNEL_FDINFO_EPOLL_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/proc_fdinfo.h"

struct fdinfo_epoll_target {
	uint32_t number; /* of the descriptor it was added by, which may be gone */
	uint32_t events;
	uint64_t data;
	bool has_inode; /* the rest is there */
	int64_t pos;
	uint64_t ino;
	uint32_t dev; /* as inside the kernel: major << 20 | minor */
};

/* The next target at or after *c; false when there are no more, or *ret_malformed. */
bool fdinfo_epoll_next(struct scan *c, struct fdinfo_epoll_target *ret, bool *ret_malformed);

#endif
