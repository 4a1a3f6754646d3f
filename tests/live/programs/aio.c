/*
 * Asynchronous I/O contexts: after one that is destroyed, one with events not read yet, one whose
 * ring is just being written over from the start, one never used, one of a large ring; requests that
 * were under way at the dump have completed.  All go on working, up to a full ring.
 * PROVES: F088 F089
 */
#include "check.h"

#include <linux/aio_abi.h>

enum { N_DIRECT = 32, CHUNK = 256 << 10 };

static int null_fd, direct_fd;
static char *chunks;

static aio_context_t make(unsigned n)
{
	aio_context_t ctx = 0;

	NEED(!syscall(SYS_io_setup, n, &ctx));
	return ctx;
}

static struct iocb write_null(uint64_t data)
{
	return (struct iocb){.aio_data = data, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_nbytes = 3,
		.aio_fildes = null_fd, .aio_buf = (uintptr_t)"abc"};
}

static bool submit(aio_context_t ctx, uint64_t data)
{
	struct iocb cb = write_null(data), *p = &cb;

	return syscall(SYS_io_submit, ctx, 1L, &p) == 1;
}

/* The next n events are those of data, data + 1, ... */
static void need_events(aio_context_t ctx, uint64_t data, long n)
{
	for (; n > 0; n--, data++) {
		struct io_event e;

		SAME(syscall(SYS_io_getevents, ctx, 1L, 1L, &e, NULL), 1);
		SAME(e.data, data);
		SAME(e.res, 3);
	}
}

static void need_empty(aio_context_t ctx)
{
	struct timespec none = {0};
	struct io_event e;

	SAME(syscall(SYS_io_getevents, ctx, 0L, 1L, &e, &none), 0);
}

static unsigned size_of(aio_context_t ctx)
{
	return ((unsigned *)ctx)[1];
}

/* As many as there is room for, all read again. */
static unsigned capacity(aio_context_t ctx)
{
	unsigned n = 0;

	while (submit(ctx, n))
		n++;
	SAME(errno, EAGAIN);
	need_events(ctx, 0, n);
	need_empty(ctx);
	return n;
}

static void begin_direct(aio_context_t ctx)
{
	direct_fd = open(in_dir("direct"), O_CREAT | O_RDWR | O_DIRECT, 0600);
	if (direct_fd < 0)
		return;
	chunks = mmap(NULL, N_DIRECT * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	NEED(chunks != MAP_FAILED);
	fill(chunks, N_DIRECT * CHUNK, 5);
	for (int i = 0; i < N_DIRECT; i++) {
		struct iocb cb = {.aio_data = i, .aio_lio_opcode = IOCB_CMD_PWRITE,
			.aio_nbytes = CHUNK, .aio_fildes = direct_fd, .aio_offset = i * CHUNK,
			.aio_buf = (uintptr_t)chunks + i * CHUNK}, *p = &cb;
		NEED(syscall(SYS_io_submit, ctx, 1L, &p) == 1);
	}
}

static void end_direct(aio_context_t ctx)
{
	unsigned done = 0;

	for (int i = 0; direct_fd >= 0 && i < N_DIRECT; i++) {
		struct io_event e;

		SAME(syscall(SYS_io_getevents, ctx, 1L, 1L, &e, NULL), 1);
		SAME(e.res, CHUNK);
		NEED(!(done & 1U << e.data));
		done |= 1U << e.data;
	}
	if (direct_fd < 0)
		return;
	NEED(pread(direct_fd, chunks, N_DIRECT * CHUNK, 0) == N_DIRECT * CHUNK);
	need_filled(chunks, N_DIRECT * CHUNK, 5);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	null_fd = open("/dev/null", O_WRONLY);
	NEED(null_fd >= 0);
	aio_context_t gone = make(5), unread = make(40), wrapped = make(40), fresh = make(1);
	aio_context_t large = make(2000), direct = make(N_DIRECT);
	unsigned all = capacity(fresh), all_large = capacity(large), nr = size_of(wrapped);

	NEED(!syscall(SYS_io_destroy, gone));
	for (int i = 0; i < 9; i++)
		NEED(submit(unread, i));
	need_events(unread, 0, 5);
	for (unsigned i = 0; i < nr - 2; i++) {
		NEED(submit(wrapped, i));
		need_events(wrapped, i, 1);
	}
	for (int i = 0; i < 7; i++)
		NEED(submit(wrapped, 100 + i));
	for (int i = 0; i < 300; i++)
		NEED(submit(large, i));
	need_events(large, 0, 10);
	begin_direct(direct);
	park();
	need_events(unread, 5, 4);
	need_empty(unread);
	need_events(wrapped, 100, 7);
	need_empty(wrapped);
	SAME(size_of(wrapped), nr);
	need_events(large, 10, 290);
	need_empty(large);
	end_direct(direct);
	/* some slots may be with processors that we are not on */
	NEED(capacity(fresh) >= all / 2 && capacity(large) >= all_large / 2);
	capacity(wrapped);
	capacity(unread);
	NEED(!syscall(SYS_io_destroy, unread) && !syscall(SYS_io_destroy, wrapped));
	NEED(make(3) && !syscall(SYS_io_destroy, fresh));
	NEED(syscall(SYS_io_destroy, gone) == -1);
	ok();
}
