/*
 * io_uring with what can be registered: files with empty places, buffers, the ring itself as a
 * registered descriptor; shared with a child and under two numbers; its worker thread (io-wq) is
 * there but idle.
 */
#include "uring.h"

#include <sys/uio.h>

#ifndef IORING_ENTER_REGISTERED_RING
#define IORING_ENTER_REGISTERED_RING (1U << 4)
#define IORING_REGISTER_RING_FDS     20
#endif

enum { BUFFERS = 3, FILES = 5, INDEX = 5 };

static struct uring ring;
static int ends[2], file, again;
static char *buffer;

static void fixed_read_and_write(void)
{
	/* file 1 is the pipe, 3 is the file; 0, 2 and 4 are empty */
	strcpy(buffer, "by fixed numbers");
	struct io_uring_sqe *sqe = uring_queue(&ring, IORING_OP_WRITE_FIXED, 3, 1);
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->addr = (uintptr_t)buffer;
	sqe->len = 17;
	sqe->buf_index = 0;
	SAME(uring_enter(&ring, 1, 1), 1);
	SAME(uring_result(&ring, 1), 17);
	sqe = uring_queue(&ring, IORING_OP_READ_FIXED, 3, 2);
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->addr = (uintptr_t)buffer + PAGE;
	sqe->len = 17;
	sqe->buf_index = 2;
	SAME(uring_enter(&ring, 1, 1), 1);
	SAME(uring_result(&ring, 2), 17);
	NEED(!strcmp(buffer + PAGE, "by fixed numbers"));
	sqe = uring_queue(&ring, IORING_OP_READ, 2, 3);
	sqe->flags = IOSQE_FIXED_FILE;
	SAME(uring_enter(&ring, 1, 1), 1);
	SAME(uring_result(&ring, 3), -EBADF);
	sqe = uring_queue(&ring, IORING_OP_READ_FIXED, 3, 4);
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->addr = (uintptr_t)buffer;
	sqe->len = 17;
	sqe->buf_index = 1; /* empty */
	SAME(uring_enter(&ring, 1, 1), 1);
	NEED(uring_result(&ring, 4) < 0);
}

static void use_index(int wanted)
{
	SAME(syscall(SYS_io_uring_enter, INDEX, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), wanted);
}

/* Uses the ring of its parent, which waits meanwhile. */
static void child(void *unused)
{
	(void)unused;
	child_park();
	uring_nops(&ring, 100, 7000);
	SAME(write(ends[1], "word", 5), 5);
	await("read");
}

int main(int argc, char **argv)
{
	char word[8];

	setup(argc, argv);
	NEED(uring_make(&ring, 8, 0, 0));
	NEED(fcntl(ring.fd, F_SETFD, 0) == 0);
	again = fcntl(ring.fd, F_DUPFD_CLOEXEC, 100);
	SAME(again, 100);
	file = open(in_dir("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	buffer = mmap(NULL, BUFFERS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(file >= 0 && buffer != MAP_FAILED && !pipe(ends));
	int files[FILES] = {-1, ends[0], -1, file, -1};
	struct iovec buffers[BUFFERS] = {{buffer, PAGE}, {NULL, 0}, {buffer + PAGE, PAGE + 100}};
	NEED(!uring_register(&ring, IORING_REGISTER_FILES, files, FILES));
	NEED(!uring_register(&ring, IORING_REGISTER_BUFFERS, buffers, BUFFERS));
	fixed_read_and_write();
	struct io_uring_rsrc_update update = {.offset = INDEX, .data = ring.fd};
	SAME(uring_register(&ring, IORING_REGISTER_RING_FDS, &update, 1), 1);
	use_index(0);
	uring_queue(&ring, IORING_OP_NOP, -1, 6)->flags = IOSQE_ASYNC;
	SAME(uring_enter(&ring, 1, 1), 1);
	SAME(uring_result(&ring, 6), 0);
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	close(ends[1]);
	park();
	SAME(fcntl(ring.fd, F_GETFD), 0);
	SAME(fcntl(again, F_GETFD), FD_CLOEXEC);
	while (*ring.cq_head != *ring.cq_tail || *ring.sq_head < 105)
		nap_ms(2); /* the child uses it first */
	struct io_uring_sqe *sqe = uring_queue(&ring, IORING_OP_READ, 1, 8);
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->addr = (uintptr_t)word;
	sqe->len = sizeof(word);
	SAME(uring_enter(&ring, 1, 1), 1);
	SAME(uring_result(&ring, 8), 5);
	NEED(!strcmp(word, "word"));
	say("read", "");
	need_exit(pid, 0);
	fixed_read_and_write();
	use_index(0);
	ring.fd = again;
	fixed_read_and_write();
	NEED(!uring_register(&ring, IORING_UNREGISTER_FILES, NULL, 0));
	NEED(!uring_register(&ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	ok();
}
