/*
 * io_uring, one ring for each thread: set up for that thread alone, with its results deferred, and
 * entered by a registered descriptor.
 * CFLAGS: -pthread
 */
#include "uring.h"

#include <pthread.h>

#ifndef IORING_ENTER_REGISTERED_RING
#define IORING_ENTER_REGISTERED_RING (1U << 4)
#define IORING_REGISTER_RING_FDS     20
#endif

enum { THREADS = 4 };

static pthread_barrier_t barrier;
static struct uring rings[THREADS];

static int enter_by_index(unsigned int index, unsigned int n)
{
	return syscall(SYS_io_uring_enter, index, n, n,
		IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, 0);
}

static void *work(void *arg)
{
	long i = (long)arg;
	struct uring *u = &rings[i];

	NEED(uring_make(u, 8 << i, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0));
	struct io_uring_rsrc_update update = {.offset = i, .data = u->fd};
	SAME(uring_register(u, IORING_REGISTER_RING_FDS, &update, 1), 1);
	uring_nops(u, 100 + i, 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	for (int n = 0; n < 50; n++) {
		uring_queue(u, IORING_OP_NOP, -1, n + 100 * i);
		SAME(enter_by_index(i, 1), 1);
		SAME(uring_result(u, n + 100 * i), 0);
	}
	uring_nops(u, 100, 0);
	SAME(syscall(SYS_io_uring_enter, rings[(i + 1) % THREADS].fd, 1, 0, 0, NULL, 0), -1);
	SAME(errno, EEXIST);
	pthread_barrier_wait(&barrier);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	struct uring probe;

	setup(argc, argv);
	if (!uring_make(&probe, 1, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0))
		skip("this kernel has no IORING_SETUP_DEFER_TASKRUN");
	munmap(probe.sqes, probe.sqes_len);
	munmap((void *)((uintptr_t)probe.sq_head & ~(PAGE - 1)), probe.rings_len);
	close(probe.fd);
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (long i = 0; i < THREADS; i++)
		NEED(!pthread_create(&threads[i], NULL, work, (void *)i));
	pthread_barrier_wait(&barrier);
	park();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ok();
}
