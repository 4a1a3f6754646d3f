/* io_uring by raw system calls: no library between the test and the indices. */
#ifndef URING_H
#define URING_H

#include "check.h"

#include <linux/io_uring.h>

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif

struct uring {
	int fd;
	unsigned int flags, n_sq, n_cq, sqe_shift, cqe_shift;
	unsigned int *sq_head, *sq_tail, *cq_head, *cq_tail, *array, *dropped, *overflow;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	size_t rings_len, sqes_len;
};

/* Returns false if the kernel lacks the flags. */
static UNUSED bool uring_make(
	struct uring *u, unsigned int entries, unsigned int flags, unsigned int cq)
{
	struct io_uring_params p = {.flags = flags, .cq_entries = cq};

	*u = (struct uring){.fd = syscall(SYS_io_uring_setup, entries, &p), .flags = flags};
	if (u->fd < 0 && errno == ENOSYS)
		skip("this kernel has no io_uring");
	if (u->fd < 0 && errno == EPERM)
		skip("io_uring is disabled (kernel.io_uring_disabled)");
	if (u->fd < 0 && errno == EINVAL && flags)
		return false;
	NEED(u->fd >= 0);
	u->n_sq = p.sq_entries;
	u->n_cq = p.cq_entries;
	u->sqe_shift = flags & IORING_SETUP_SQE128 ? 1 : 0;
	u->cqe_shift = flags & IORING_SETUP_CQE32 ? 1 : 0;
	u->rings_len =
		p.cq_off.cqes + ((size_t)u->n_cq << u->cqe_shift) * sizeof(struct io_uring_cqe);
	if (!(flags & IORING_SETUP_NO_SQARRAY))
		u->rings_len = p.sq_off.array + u->n_sq * sizeof(unsigned int);
	u->sqes_len = ((size_t)u->n_sq << u->sqe_shift) * sizeof(struct io_uring_sqe);
	char *rings = mmap(NULL, u->rings_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		u->fd, IORING_OFF_SQ_RING);
	u->sqes = mmap(NULL, u->sqes_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd,
		IORING_OFF_SQES);
	NEED(rings != MAP_FAILED && u->sqes != MAP_FAILED);
	u->sq_head = (void *)(rings + p.sq_off.head);
	u->sq_tail = (void *)(rings + p.sq_off.tail);
	u->dropped = (void *)(rings + p.sq_off.dropped);
	u->array = flags & IORING_SETUP_NO_SQARRAY ? NULL : (void *)(rings + p.sq_off.array);
	u->cq_head = (void *)(rings + p.cq_off.head);
	u->cq_tail = (void *)(rings + p.cq_off.tail);
	u->overflow = (void *)(rings + p.cq_off.overflow);
	u->cqes = (void *)(rings + p.cq_off.cqes);
	return true;
}

/* The next entry, cleared and queued; not submitted yet. */
static UNUSED struct io_uring_sqe *uring_queue(struct uring *u, int op, int fd, uint64_t data)
{
	unsigned int tail = *u->sq_tail, index = tail & (u->n_sq - 1);
	struct io_uring_sqe *sqe = &u->sqes[index << u->sqe_shift];

	NEED(tail - __atomic_load_n(u->sq_head, __ATOMIC_ACQUIRE) < u->n_sq);
	memset(sqe, 0, sizeof(*sqe) << u->sqe_shift);
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->user_data = data;
	if (u->array)
		u->array[index] = index;
	__atomic_store_n(u->sq_tail, tail + 1, __ATOMIC_RELEASE);
	return sqe;
}

static UNUSED int uring_enter(struct uring *u, unsigned int submit, unsigned int wait)
{
	return syscall(SYS_io_uring_enter, u->fd, submit, wait, wait ? IORING_ENTER_GETEVENTS : 0,
		NULL, 0);
}

/* The next result, which must be this one. */
static UNUSED int uring_result(struct uring *u, uint64_t data)
{
	unsigned int head = *u->cq_head;

	NEED(head != __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE));
	struct io_uring_cqe cqe = u->cqes[(head & (u->n_cq - 1)) << u->cqe_shift];
	__atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
	SAME(cqe.user_data, data);
	return cqe.res;
}

/* n operations that do nothing, one batch after another, their results read. */
static UNUSED void uring_nops(struct uring *u, unsigned int n, uint64_t data)
{
	while (n) {
		unsigned int batch = n < u->n_sq ? n : u->n_sq;
		for (unsigned int i = 0; i < batch; i++)
			uring_queue(u, IORING_OP_NOP, -1, data + i);
		SAME(uring_enter(u, batch, batch), batch);
		for (unsigned int i = 0; i < batch; i++)
			SAME(uring_result(u, data + i), 0);
		n -= batch;
	}
}

static UNUSED int uring_register(struct uring *u, unsigned int op, const void *arg, unsigned int n)
{
	return syscall(SYS_io_uring_register, u->fd, op, arg, n);
}

#endif
