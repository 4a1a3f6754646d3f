/*
 * io_uring(7): rings that cannot be dumped, and what the kernel does not tell of them.
 *
 * Whether something is in flight shows in three ways: polled files (fdinfo), a worker thread that
 * is not idle, and fewer results than submissions.  What answers more than once or never cannot
 * be told from that, so unequal counts are refused.  An operation that gives several results and
 * one that gives none yet would make the counts equal by chance; so where entries of long ago show
 * that there were such, that is refused as well.
 */
#include <errno.h>
#include <string.h>

#include "file/io_uring.h"
#include "kernel/proc_tasks.h"
#include "kernel/procfs.h"

enum {
	SQE = sizeof(struct io_uring_sqe),
	GROUPS = 1024, /* of provided buffers, to be asked for; there are 65536 */
};

/* -ENOENT: no buffers were provided under this number. */
static int ask_group(int fd, uint32_t group)
{
	struct uring_group status = {.group = group};
	return uring_register(fd, URING_REGISTER_PBUF_STATUS, &status, 1);
}

/* Asks rings of ours what the answers mean: since Linux 6.9. */
bool uring_kernel_tells(void)
{
	struct io_uring_params plain = {0}, polling = {.flags = IORING_SETUP_IOPOLL};
	_cleanup_close_ int a = uring_setup(1, &plain), b = uring_setup(1, &polling);
	unsigned op = uring_ask_op[ASK_NAPI];
	return a >= 0 && b >= 0 && uring_register(a, op, uring_ask_arg, 1) == -EFAULT &&
	       uring_register(b, op, uring_ask_arg, 1) == -EINVAL && ask_group(a, 0) == -ENOENT;
}

/* A thread of the kernel that serves rings of t and is at work. */
static bool has_busy_worker(struct session *s, const struct task *t)
{
	pid_vec tids = {0};
	proc_list_tids(s, t->pid, &tids);
	vec_for_each (&tids, tid) {
		_cleanup_proc_buf_ struct proc_buf where = {0};
		char name[PROC_PATH_MAX / 2];
		snprintf(name, sizeof(name), "task/%d/wchan", *tid);
		if (proc_is_io_worker(s, *tid) && proc_read_pid(s, t->pid, name, &where) >= 0 &&
			where.len > 1 && strcmp(where.data, "io_wq_worker") != 0)
			return true;
	}
	return false;
}

/* IORING_REGISTER_PBUF_RING and IORING_OP_PROVIDE_BUFFERS. Larger numbers: see uring_uses_unseen().
 */
static bool has_provided_buffers(const struct file_view *v, const struct seen_ring *seen)
{
	if (seen->ring->e->has_issuer)
		return seen->told->provided;
	int r = -ENOENT;
	for (uint32_t group = 0; group < GROUPS && r == -ENOENT; group++)
		r = ask_group(v->fd, group);
	return r != -ENOENT;
}

/* Answers many times, or never. */
static bool answers_oddly(const struct io_uring_sqe *sqe)
{
	if (sqe->flags & IOSQE_CQE_SKIP_SUCCESS)
		return true;
	switch (sqe->opcode) {
	case IORING_OP_POLL_ADD:
		return sqe->len & IORING_POLL_ADD_MULTI;
	case IORING_OP_TIMEOUT:
		return sqe->timeout_flags & URING_TIMEOUT_MULTISHOT;
	case IORING_OP_ACCEPT:
		return sqe->ioprio & IORING_ACCEPT_MULTISHOT;
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
		return sqe->ioprio & IORING_RECV_MULTISHOT;
	case URING_OP_READ_MULTISHOT:
		return true;
	default:
		return false;
	}
}

/* An entry, maybe of long ago, that needs what the kernel would not tell: it was registered. */
const char *uring_uses_unseen(const struct seen_ring *seen)
{
	const FermataIoUring *e = seen->ring->e;
	uint32_t size = e->setup_flags & IORING_SETUP_SQE128 ? 2 * SQE : SQE;
	for (size_t at = 0; at < e->sqes.len; at += size) {
		struct io_uring_sqe sqe = {0}; /* the last may be cut */
		memcpy(&sqe, e->sqes.data + at, e->sqes.len - at < SQE ? e->sqes.len - at : SQE);
		if (sqe.personality)
			return "registered credentials, which are not supported";
		if (sqe.flags & IOSQE_BUFFER_SELECT || sqe.opcode == IORING_OP_PROVIDE_BUFFERS)
			return "provided buffers, which the kernel does not tell";
		if (answers_oddly(&sqe))
			return "operations that give many results or none: whether something is "
			       "in flight cannot be told";
	}
	return NULL;
}

static const char in_flight[] = "dump it while it has nothing to wait for";

bool uring_refuse(struct file_dump *d, const struct file_view *v, const struct seen_ring *seen)
{
	const struct uring_fdinfo *i = &seen->ring->info;
	size_t before = d->s->blockers.n;
	if (i->sq_thread != -1)
		view_block(d, v, "have the program set it up without IORING_SETUP_SQPOLL",
			"an io_uring that a thread of the kernel submits from (SQPOLL), which is "
			"not supported");
	else if (seen->answers[ASK_PROBE] == -EACCES || seen->answers[ASK_RESTRICTIONS] == -EACCES)
		view_block(d, v, NULL,
			"an io_uring with restrictions, which the kernel does not tell");
	else if (seen->waits == -EBADFD)
		view_block(d, v, NULL,
			"an io_uring that was not enabled yet (R_DISABLED): how it was set up "
			"cannot be told");
	else if (i->n_polled)
		view_block(d, v, in_flight, "an io_uring that waits for %u file%s", i->n_polled,
			i->n_polled == 1 ? "" : "s");
	else if (i->n_overflown)
		view_block(d, v, "have the program read its results",
			"an io_uring with %u results for which there was no room", i->n_overflown);
	else if (has_busy_worker(d->s, v->from.task))
		view_block(d, v, in_flight, "an io_uring with a worker thread in action");
	else if (i->submitted != i->completed)
		view_block(d, v, in_flight,
			"an io_uring with %u operations submitted and %u results: something is in "
			"flight, or gives no result, or many, which cannot be told apart",
			i->submitted, i->completed);
	return d->s->blockers.n > before;
}

bool uring_refuse_registered(
	struct file_dump *d, const struct file_view *v, const struct seen_ring *seen)
{
	size_t before = d->s->blockers.n;
	if (seen->answers[ASK_PROBE] == -EEXIST)
		view_block(d, v, NULL,
			"an io_uring of a single thread (SINGLE_ISSUER) that is "
			"none of its process");
	else if (seen->answers[ASK_EVENTFD] == -EBUSY)
		view_block(d, v, "have the program unregister it",
			"an io_uring with a registered eventfd, which the kernel does not tell");
	else if (seen->answers[ASK_REGION] == -EBUSY)
		view_block(d, v, NULL,
			"an io_uring with a registered memory region, which is not supported");
	else if (seen->ring->info.napi)
		view_block(d, v, "have the program unregister it",
			"an io_uring that polls network devices (NAPI), which is not supported");
	else if (seen->ring->info.personalities)
		view_block(d, v, "have the program unregister them",
			"an io_uring with registered credentials, which are not supported");
	else if (has_provided_buffers(v, seen))
		view_block(d, v, "have the program unregister them",
			"an io_uring with provided buffers, which the kernel does not tell");
	return d->s->blockers.n > before;
}
