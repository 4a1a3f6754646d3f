/*
 * io_uring(7) as fdinfo shows it (io_uring/fdinfo.c), its three calls, and what glibc's kernel
 * headers may lack.
 */
#ifndef FERMATA_KERNEL_URING_H
#define FERMATA_KERNEL_URING_H

#include <errno.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/session.h"

/* enum io_uring_register_op and setup flags, by the Linux version that brought them */
enum {
	URING_REGISTER_PBUF_STATUS = 26,  /* 6.8 */
	URING_REGISTER_NAPI = 27,	  /* 6.9 */
	URING_REGISTER_MEM_REGION = 34,	  /* 6.13 */
	URING_SETUP_NO_SQARRAY = 1 << 16, /* 6.6 */
	URING_TIMEOUT_MULTISHOT = 1 << 6, /* 6.4 */
	URING_OP_READ_MULTISHOT = 49,	  /* 6.7 */
};

struct uring_slot {
	uint32_t index;
	const char *path; /* of a registered file */
	uint64_t addr;	  /* of a registered buffer */
	uint32_t len;
};

struct uring_fdinfo {
	uint32_t sq_mask, sq_head, sq_tail, submitted; /* submitted: the kernel's own head */
	uint32_t cq_mask, cq_head, cq_tail, completed; /* completed: the kernel's own tail */
	int sq_thread;				       /* -1: none */
	uint32_t n_files, n_buffers;		       /* places */
	VEC(struct uring_slot) files;		       /* those in use */
	VEC(struct uring_slot) buffers;
	unsigned n_polled, n_overflown;
	/* entries it lists as not yet submitted: none if there is no index array */
	unsigned n_sqes;
	bool sqe128, cqe32; /* the entries it lists are of double size */
	bool napi, personalities;
};

/* -EINVAL if counters are missing (before Linux 5.16) or garbled. */
int uring_fdinfo_parse(struct arena *a, const char *text, size_t len, struct uring_fdinfo *ret);

/* That of a descriptor. Tried again for a while when someone else uses the ring. */
int uring_fdinfo_read(struct session *s, pid_t pid, int fd, struct uring_fdinfo *ret);

/* struct io_uring_buf_status */
struct uring_group {
	uint32_t group, head, reserved[8];
};

static inline int uring_setup(uint32_t entries, struct io_uring_params *params)
{
	long fd = syscall(SYS_io_uring_setup, entries, params);
	return fd < 0 ? -errno : (int)fd;
}

static inline int uring_enter(int fd, uint32_t to_submit, uint32_t flags)
{
	long n = syscall(SYS_io_uring_enter, fd, to_submit, 0, flags, NULL, 0);
	return n < 0 ? -errno : (int)n;
}

static inline int uring_register(int fd, unsigned op, const void *arg, unsigned n)
{
	long r = syscall(SYS_io_uring_register, fd, op, arg, n);
	return r < 0 ? -errno : (int)r;
}

#endif
