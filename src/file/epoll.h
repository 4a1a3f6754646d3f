/* Epoll sets: what the files of their dump and restore share. Internal to src/file. */
#ifndef FERMATA_FILE_EPOLL_H
#define FERMATA_FILE_EPOLL_H

#include "file/dumping.h"
#include "file/restoring.h"
#include "kernel/fdinfo_epoll.h"

/* Bits of events that say how, not what; all that is left of a disabled EPOLLONESHOT target. */
#define EPOLL_HOW                                                             \
	((uint32_t)EPOLLET | (uint32_t)EPOLLONESHOT | (uint32_t)EPOLLWAKEUP | \
		(uint32_t)EPOLLEXCLUSIVE)

struct epoll_target {
	struct fdinfo_epoll_target line;
	uint32_t nth;		  /* among targets of the same number, in the order of fdinfo */
	struct dumped_file *file; /* NULL: not found yet */
	bool sure;		  /* file needs no proof */
};

struct epoll_dump {
	struct dumped_file *f;
	EventpollFileEntry *e;
	VEC(struct epoll_target) targets;
	VEC(FermataEpollTarget *) deviations;
	struct id_map numbers; /* how many targets each has: uint32_t */
};

/*
 * epoll_ask.c: makes targets that may be what their number leads to sure, where there are too many
 * for kcmp(2), which walks the whole set each time.
 */
void epoll_ask(struct file_dump *d, struct epoll_dump *set);

/* epoll_restore.c */
int epoll_check(struct file_set *f, struct open_file *o);
int epoll_create_file(struct file_set *f, struct open_file *o, int *ret_fd);
int epoll_install(
	struct file_set *f, struct open_file *o, const struct fd_slot *slot, struct program *p);

#endif
