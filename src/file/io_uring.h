/* What the parts of io_uring share: the type, the visit, the restore. Internal to src/file. */
#ifndef FERMATA_FILE_IO_URING_H
#define FERMATA_FILE_IO_URING_H

#include "file/dumping.h"
#include "file/restoring.h"
#include "kernel/uring.h"

#define URING_LINK "anon_inode:[io_uring]"

/*
 * Calls of io_uring_register(2) with an argument that cannot be read. The errno tells something
 * about the ring, and nothing happens.
 */
enum uring_ask {
	ASK_PROBE,	  /* EEXIST: it is some other thread's alone; EACCES: restricted */
	ASK_RESTRICTIONS, /* EACCES: restricted */
	ASK_EVENTFD,	  /* EBUSY: has one */
	ASK_NAPI,	  /* EINVAL: polls for completions (IORING_SETUP_IOPOLL) */
	ASK_REGION,	  /* EBUSY: has one */
	N_URING_ASKS,
};
extern const unsigned uring_ask_op[N_URING_ASKS];
extern void *const uring_ask_arg;

/* What a task told of one of its rings in a visit. */
struct ring_told {
	int fd;
	uint64_t ino;
	const char *text; /* extra part of fdinfo with some entry in both rings; "" if it cannot be
			     had */
	struct thread *issuer;	       /* of IORING_SETUP_SINGLE_ISSUER */
	int64_t answers[N_URING_ASKS]; /* to the issuer */
	bool provided;		       /* buffers, likewise */
};

/* IORING_REGISTER_RING_FDS */
struct ring_index {
	struct thread *thread;
	uint32_t index;
};

struct rings_told {
	VEC(struct ring_told) rings;
	VEC(struct ring_index) indices;
};

/* One that is dumped. */
struct ring {
	uint64_t ino;
	struct task *task; /* where it was met */
	struct dumped_file *file;
	FermataIoUring *e;
	struct uring_fdinfo info;
};

/* Under examination. */
struct seen_ring {
	struct ring *ring;
	const struct ring_told *told; /* NULL: in a dry dump */
	int64_t answers[N_URING_ASKS];
	struct uring_fdinfo entries; /* with an entry of each kind */
	int waits;		     /* what a call that would fetch results returned */
	uint64_t rings_len, sqes_len;
};

/* io_uring_refuse.c: whether it is Linux 6.9 or later, as far as rings are concerned */
bool uring_kernel_tells(void);
/* Blocks it; returns whether it did. First what can be told in a dry dump as well. */
bool uring_refuse(struct file_dump *d, const struct file_view *v, const struct seen_ring *seen);
bool uring_refuse_registered(
	struct file_dump *d, const struct file_view *v, const struct seen_ring *seen);
/* Of its copied entries: what they have used that the kernel would not tell; NULL: nothing. */
const char *uring_uses_unseen(const struct seen_ring *seen);

/* io_uring_links.c */
int io_uring_complete(struct file_dump *d);

/* Where the kernel puts things that all rings share; made by asking it. */
struct uring_layout {
	uint32_t sq_tail, cq_head; /* offsets in the rings */
};
int uring_layout(struct uring_layout *ret);

/* io_uring_map.c: in all tasks, once all rings are there. */
int io_uring_map_all(struct file_set *f, struct stubs *st);
/* A number under which the table has it, -1: none. */
int64_t fd_number_of(const struct fd_table *t, const struct open_file *o);

/* io_uring_restore.c */
int io_uring_check(struct file_set *f, struct open_file *o);

#endif
