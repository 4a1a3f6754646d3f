/*
 * io_uring_odd DIR KIND: an io_uring that cannot be dumped, for this or that reason. It must go on
 * as if nobody had looked.
 * VARIANTS: scenario
 */
#include "uring.h"

#include <sys/eventfd.h>

#ifndef IORING_SETUP_REGISTERED_FD_ONLY
#define IORING_SETUP_NO_MMAP            (1U << 14)
#define IORING_SETUP_REGISTERED_FD_ONLY (1U << 15)
#endif

static struct uring ring;
static int pipe_ends[2];
static bool usable = true; /* takes further operations, and gives their results */

static void made(unsigned int entries, unsigned int flags)
{
	if (!uring_make(&ring, entries, flags, 0))
		skip("this kernel has no such rings");
}

static void by_sqpoll(void)
{
	made(8, IORING_SETUP_SQPOLL);
	nap_ms(100); /* its thread takes a name of its own first */
	usable = false;
}

static void by_poll(void)
{
	made(8, 0);
	NEED(!pipe(pipe_ends));
	uring_queue(&ring, IORING_OP_POLL_ADD, pipe_ends[0], 1)->poll32_events = 1;
	SAME(uring_enter(&ring, 1, 0), 1);
}

static void by_timeout(void)
{
	static struct __kernel_timespec hour = {3600, 0};

	made(8, 0);
	struct io_uring_sqe *sqe = uring_queue(&ring, IORING_OP_TIMEOUT, -1, 1);
	sqe->addr = (uintptr_t)&hour;
	sqe->len = 1;
	SAME(uring_enter(&ring, 1, 0), 1);
}

/* One result for one submission, and more to come. */
static void by_multishot(void)
{
	static struct __kernel_timespec some = {0, 20000000};

	made(8, 0);
	struct io_uring_sqe *sqe = uring_queue(&ring, IORING_OP_TIMEOUT, -1, 1);
	sqe->addr = (uintptr_t)&some;
	sqe->len = 1;
	sqe->timeout_flags = 1 << 6; /* IORING_TIMEOUT_MULTISHOT */
	sqe->off = 2;
	SAME(uring_enter(&ring, 1, 1), 1);
	if (uring_result(&ring, 1) != -ETIME)
		skip("no timeouts that repeat");
	some.tv_sec = 3600;
	sqe = uring_queue(&ring, IORING_OP_TIMEOUT_REMOVE, -1, 2);
	sqe->addr = 1;
	SAME(uring_enter(&ring, 1, 1), 1);
	nap_ms(5);
	ring.cq_head[0] = *ring.cq_tail;
	/* three results for two submissions, and one that gives none for a while */
	sqe = uring_queue(&ring, IORING_OP_TIMEOUT, -1, 3);
	sqe->addr = (uintptr_t)&some;
	sqe->len = 1;
	SAME(uring_enter(&ring, 1, 0), 1);
}

/* Opening a FIFO waits for another end, in a worker thread. */
static void by_worker(void)
{
	made(8, 0);
	NEED(!mkfifo(in_dir("fifo"), 0600));
	struct io_uring_sqe *sqe = uring_queue(&ring, IORING_OP_OPENAT, AT_FDCWD, 1);
	sqe->flags = IOSQE_ASYNC;
	sqe->addr = (uintptr_t)in_dir("fifo");
	sqe->open_flags = O_RDONLY;
	SAME(uring_enter(&ring, 1, 0), 1);
	nap_ms(50);
}

static void by_overflow(void)
{
	made(1, 0);
	for (int i = 0; i < 4; i++) {
		uring_queue(&ring, IORING_OP_NOP, -1, i);
		SAME(uring_enter(&ring, 1, 0), 1);
	}
	usable = false;
}

static void by_skipped(void)
{
	made(8, 0);
	uring_queue(&ring, IORING_OP_NOP, -1, 1)->flags = IOSQE_CQE_SKIP_SUCCESS;
	SAME(uring_enter(&ring, 1, 0), 1);
}

static void by_eventfd(void)
{
	int fd = eventfd(0, 0);

	made(8, 0);
	NEED(!uring_register(&ring, IORING_REGISTER_EVENTFD, &fd, 1));
}

static void by_buffers(void)
{
	static char room[16][64];

	made(8, 0);
	struct io_uring_sqe *sqe = uring_queue(&ring, IORING_OP_PROVIDE_BUFFERS, 16, 1);
	sqe->addr = (uintptr_t)room;
	sqe->len = 64;
	sqe->buf_group = 7;
	SAME(uring_enter(&ring, 1, 1), 1);
	NEED(uring_result(&ring, 1) >= 0);
	for (int i = 0; i < 9; i++)
		uring_nops(&ring, 1, i); /* nothing in the ring tells of them any more */
}

static void by_credentials(void)
{
	made(8, 0);
	int id = uring_register(&ring, IORING_REGISTER_PERSONALITY, NULL, 0);
	NEED(id > 0);
	uring_queue(&ring, IORING_OP_NOP, -1, 1)->personality = id;
	SAME(uring_enter(&ring, 1, 1), 1);
	SAME(uring_result(&ring, 1), 0);
}

static void by_disabled(void)
{
	made(8, IORING_SETUP_R_DISABLED);
	usable = false;
}

static void by_restricted(void)
{
	struct io_uring_restriction only[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP}};

	made(8, IORING_SETUP_R_DISABLED);
	NEED(!uring_register(&ring, IORING_REGISTER_RESTRICTIONS, only, 1));
	NEED(!uring_register(&ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
}

static void by_hidden_file(void)
{
	int fd = open(in_dir("file"), O_RDWR | O_CREAT, 0600);

	made(8, 0);
	NEED(fd >= 0 && !uring_register(&ring, IORING_REGISTER_FILES, &fd, 1));
	close(fd);
}

static void by_twin_files(void)
{
	int fd = open(in_dir("file"), O_RDWR | O_CREAT, 0600);

	made(8, 0);
	NEED(fd >= 0 && !uring_register(&ring, IORING_REGISTER_FILES, &fd, 1));
	NEED(open(in_dir("file"), O_RDONLY) >= 0);
}

static void by_unmapped(void)
{
	made(8, 0);
	munmap(ring.sqes, ring.sqes_len);
	munmap((void *)((uintptr_t)ring.sq_head & ~(PAGE - 1)), ring.rings_len);
	usable = false;
}

/* No descriptor at all: a number that only this thread can use. */
static void by_number(void)
{
	static char memory[2][PAGE] __attribute__((aligned(4096)));
	struct io_uring_params p = {
		.flags = IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY};

	p.cq_off.resv2 = (uintptr_t)memory[0];
	p.sq_off.resv2 = (uintptr_t)memory[1];
	if (syscall(SYS_io_uring_setup, 8, &p) < 0)
		skip("this kernel has no rings without descriptors");
	usable = false;
}

static const struct {
	const char *name;
	void (*make)(void);
} kinds[] = {{"sqpoll", by_sqpoll}, {"poll", by_poll}, {"timeout", by_timeout},
	{"multishot", by_multishot},
	{"worker", by_worker}, {"overflow", by_overflow}, {"skipped", by_skipped},
	{"eventfd", by_eventfd}, {"buffers", by_buffers}, {"credentials", by_credentials},
	{"disabled", by_disabled}, {"restricted", by_restricted}, {"hidden-file", by_hidden_file},
	{"twin-files", by_twin_files}, {"unmapped", by_unmapped}, {"number", by_number}};

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && argc > 2; i++)
		if (!strcmp(argv[2], kinds[i].name))
			kinds[i].make();
	unsigned int tail = usable ? *ring.sq_tail : 0, head = usable ? *ring.cq_head : 0;
	park();
	if (usable) {
		SAME(*ring.sq_tail, tail);
		SAME(*ring.cq_head, head);
		uring_nops(&ring, 20, 100);
	}
	ok();
}
