/*
 * io_uring as most programs use it, by liburing: a copy of a file with several requests at a time
 * and registered buffers, stopped between two batches.
 * CFLAGS: -luring
 */
#include "check.h"

#include <liburing.h>

enum { DEPTH = 16, CHUNK = 4096, CHUNKS = 700, BEFORE = 333 };

static struct io_uring ring;
static int from, to;
static char (*buffers)[CHUNK];

static void await_all(int n, int res)
{
	while (n--) {
		struct io_uring_cqe *cqe;
		SAME(io_uring_wait_cqe(&ring, &cqe), 0);
		SAME(cqe->res, res);
		io_uring_cqe_seen(&ring, cqe);
	}
}

static void copy(int first, int last)
{
	for (int at = first; at < last;) {
		int n = last - at < DEPTH ? last - at : DEPTH;
		for (int i = 0; i < n; i++)
			io_uring_prep_read_fixed(io_uring_get_sqe(&ring), from, buffers[i], CHUNK,
				(uint64_t)(at + i) * CHUNK, i);
		SAME(io_uring_submit(&ring), n);
		await_all(n, CHUNK);
		for (int i = 0; i < n; i++)
			io_uring_prep_write_fixed(io_uring_get_sqe(&ring), to, buffers[i], CHUNK,
				(uint64_t)(at + i) * CHUNK, i);
		SAME(io_uring_submit_and_wait(&ring, n), n);
		await_all(n, CHUNK);
		at += n;
	}
}

int main(int argc, char **argv)
{
	struct iovec all[DEPTH];

	setup(argc, argv);
	int r = io_uring_queue_init(DEPTH, &ring, 0);
	if (r == -ENOSYS || r == -EPERM)
		skip("no io_uring here");
	SAME(r, 0);
	from = open(in_dir("from"), O_RDWR | O_CREAT, 0600);
	to = open(in_dir("to"), O_RDWR | O_CREAT, 0600);
	buffers = mmap(NULL, DEPTH * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(from >= 0 && to >= 0 && buffers != MAP_FAILED);
	for (int i = 0; i < CHUNKS; i++) {
		fill(buffers[0], CHUNK, i);
		SAME(write(from, buffers[0], CHUNK), CHUNK);
	}
	for (int i = 0; i < DEPTH; i++)
		all[i] = (struct iovec){buffers[i], CHUNK};
	SAME(io_uring_register_buffers(&ring, all, DEPTH), 0);
	io_uring_ring_dontfork(&ring);
	io_uring_register_ring_fd(&ring); /* where the kernel has it */
	copy(0, BEFORE);
	park();
	copy(BEFORE, CHUNKS);
	for (int i = 0; i < CHUNKS; i++) {
		SAME(pread(to, buffers[0], CHUNK, (off_t)i * CHUNK), CHUNK);
		need_filled(buffers[0], CHUNK, i);
	}
	io_uring_queue_exit(&ring);
	ok();
}
