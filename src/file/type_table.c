/* All types of open files. The order is that of recognition: the special before the general. */
#include "file/type.h"

#include <stddef.h>

extern const struct file_type pipe_type, fifo_type, memfd_type, eventfd_type, epoll_type,
	signalfd_type, timerfd_type, inotify_type, fanotify_type, pidfd_type, bpf_map_type,
	tty_type, inet_type, unix_type, io_uring_type, netlink_type, packet_type, tun_type,
	ext_file_type, regular_type;

const struct file_type *const file_types[] = {
	&pipe_type,
	&fifo_type,
	&memfd_type, /* has a link text like a path */
	&eventfd_type,
	&epoll_type,
	&signalfd_type,
	&timerfd_type,
	&inotify_type,
	&fanotify_type,
	&pidfd_type,
	&bpf_map_type,
	&tty_type,
	&inet_type,
	&unix_type,
	&io_uring_type,
	&netlink_type,
	&packet_type,
	&tun_type,
	&ext_file_type,
	&regular_type,
	NULL,
};

const struct file_type *file_type_of(FdTypes type)
{
	for (const struct file_type *const *t = file_types; *t; t++)
		if ((*t)->type == type)
			return *t;
	return NULL;
}
