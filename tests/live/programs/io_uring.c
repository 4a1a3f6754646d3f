/*
 * io_uring: rings of all setups that a restore can make, with indices that have wrapped around the
 * entries, results that were not read, entries that were not submitted; they go on after it.
 */
#include "uring.h"

enum { UNREAD = 3, QUEUED = 2 };

static const struct kind {
	unsigned int entries, flags, cq, nops;
} kinds[] = {
	{1, 0, 0, 5},
	{8, 0, 0, 0}, /* never used */
	{8, 0, 0, 37},
	{8, IORING_SETUP_CQSIZE, 64, 1001},
	{4096, 0, 0, 10000},
	{8, IORING_SETUP_SQE128, 0, 37},
	{8, IORING_SETUP_CQE32, 0, 37},
	{64, IORING_SETUP_SQE128 | IORING_SETUP_CQE32, 0, 200},
	{8, IORING_SETUP_NO_SQARRAY, 0, 37},
	{64, IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQE128, 0, 37},
	{8, IORING_SETUP_SUBMIT_ALL, 0, 37},
	{8, IORING_SETUP_COOP_TASKRUN, 0, 37},
	{8, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0, 37},
	{8, IORING_SETUP_IOPOLL, 0, 37},
	{8, IORING_SETUP_SINGLE_ISSUER, 0, 1037},
	{8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0, 37},
	{256, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY, 0,
		3700},
};
enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static struct uring rings[N_KINDS]; /* fd -1: this kernel has none of that kind */

static void use(int i)
{
	const struct kind *k = &kinds[i];
	struct uring *u = &rings[i];

	if (!uring_make(u, k->entries, k->flags, k->cq) || !k->nops)
		return;
	uring_nops(u, k->nops, 1000 * i);
	int unread = k->entries < UNREAD ? 1 : UNREAD;
	for (int n = 0; n < unread; n++)
		uring_queue(u, IORING_OP_NOP, -1, 77 * i + n);
	SAME(uring_enter(u, unread, unread), unread);
	for (int n = 0; n < QUEUED && k->entries > 1; n++)
		uring_queue(u, IORING_OP_NOP, -1, 99 * i + n);
}

static void go_on(int i, int file)
{
	const struct kind *k = &kinds[i];
	struct uring *u = &rings[i];
	char text[32], back[32] = {0};

	if (u->fd < 0)
		return;
	if (k->nops) {
		int unread = k->entries < UNREAD ? 1 : UNREAD, queued = k->entries > 1 ? QUEUED : 0;
		SAME(*u->sq_head, k->nops + unread);
		SAME(*u->sq_tail, *u->sq_head + queued);
		SAME(*u->cq_head, k->nops);
		SAME(*u->cq_tail, k->nops + unread);
		SAME(uring_enter(u, queued, queued ? unread + queued : 0), queued);
		for (int n = 0; n < unread; n++)
			SAME(uring_result(u, 77 * i + n), 0);
		for (int n = 0; n < queued; n++)
			SAME(uring_result(u, 99 * i + n), 0);
	}
	uring_nops(u, 3 * u->n_cq + 1, 5 * i);
	SAME(*u->cq_head, *u->cq_tail);
	SAME(*u->dropped + *u->overflow, 0);
	if (k->flags & IORING_SETUP_IOPOLL) {
		/* files of this kind cannot be polled, and it must still say so */
		uring_queue(u, IORING_OP_READ, file, 1);
		SAME(uring_enter(u, 1, 0), 1);
		SAME(uring_result(u, 1), -EOPNOTSUPP);
		return;
	}
	snprintf(text, sizeof(text), "ring %d", i);
	struct io_uring_sqe *sqe = uring_queue(u, IORING_OP_WRITE, file, 1);
	sqe->addr = (uintptr_t)text;
	sqe->len = sizeof(text);
	SAME(uring_enter(u, 1, 1), 1);
	SAME(uring_result(u, 1), sizeof(text));
	sqe = uring_queue(u, IORING_OP_READ, file, 2);
	sqe->addr = (uintptr_t)back;
	sqe->len = sizeof(back);
	SAME(uring_enter(u, 1, 1), 1);
	SAME(uring_result(u, 2), sizeof(back));
	NEED(!memcmp(text, back, sizeof(text)));
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (int i = 0; i < N_KINDS; i++)
		use(i);
	park();
	int file = open(in_dir("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	NEED(file >= 0);
	for (int i = 0; i < N_KINDS; i++)
		go_on(i, file);
	/* a ring of one issuer still is */
	for (int i = 0; i < N_KINDS; i++) {
		bool single = kinds[i].flags & IORING_SETUP_SINGLE_ISSUER;
		pid_t pid = rings[i].fd < 0 ? 0 : fork();
		if (rings[i].fd < 0)
			continue;
		NEED(pid >= 0);
		if (pid == 0) {
			NEED(uring_register(&rings[i], IORING_REGISTER_PROBE, (void *)1, 1) == -1);
			_exit((errno == EEXIST) != single);
		}
		need_exit(pid, 0);
	}
	ok();
}
