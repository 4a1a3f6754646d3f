/* fdinfo of an io_uring against text captured on Linux 6.18 and 6.12. */
#include <errno.h>

#include "test_proc.h"

#include "kernel/uring.h"

#define COUNTERS                                                                                  \
	"SqMask:\t0x7\nSqHead:\t2\nSqTail:\t4\nCachedSqHead:\t2\nCqMask:\t0xf\nCqHead:\t4294967295\n" \
	"CqTail:\t3\nCachedCqTail:\t3\n"

static const char full[] = COUNTERS
	"SQEs:\t2\n"
	"    0: opcode:NOP, fd:0, flags:0, off:0, addr:0x0, rw_flags:0x0, buf_index:0 user_data:0, "
	"e0:0x0, e1:0x0\n"
	"    1: opcode:NOP, fd:0, flags:0, off:0, addr:0x0, rw_flags:0x0, buf_index:0 user_data:0\n"
	"CQEs:\t1\n"
	"   15: user_data:0, res:0, flag:0, extra1:0, extra2:0\n"
	"\n"
	"SqThread:\t77\nSqThreadCpu:\t1\nSqTotalTime:\t0\nSqWorkTime:\t0\n"
	"UserFiles:\t5\n"
	"    0: /tmp/a\\040b\\134c\n"
	"    1: <none>\n"
	"    3: socket:[7]\n"
	"UserBufs:\t2\n"
	"    0: 0x56394ea5d2b0/9999\n"
	"    1: <none>\n"
	"PollList:\n"
	"  op=6, task_works=0\n"
	"CqOverflowList:\n"
	"  user_data=1, res=0, flags=0\n"
	"  user_data=2, res=0, flags=0\n"
	"NAPI:\tenabled\nnapi_busy_poll_dt:\t0\n";

static const char empty[] = COUNTERS "SQEs:\t0\nCQEs:\t0\nSqThread:\t-1\nUserFiles:\t0\n"
				     "UserBufs:\t0\nPollList:\nCqOverflowList:\nNAPI:\tdisabled\n";

static int parse(struct arena *a, const char *text, size_t len)
{
	struct uring_fdinfo info;
	return uring_fdinfo_parse(a, text, len, &info);
}

static void test_full(void **state)
{
	struct session *s = *state;
	struct uring_fdinfo i;
	assert_int_equal(uring_fdinfo_parse(&s->arena, full, sizeof(full) - 1, &i), 0);
	assert_int_equal(i.sq_mask, 7);
	assert_int_equal(i.sq_head, 2);
	assert_int_equal(i.sq_tail, 4);
	assert_int_equal(i.submitted, 2);
	assert_int_equal(i.cq_mask, 15);
	assert_int_equal(i.cq_head, UINT32_MAX);
	assert_int_equal(i.cq_tail, 3);
	assert_int_equal(i.completed, 3);
	assert_int_equal(i.n_sqes, 2);
	assert_true(i.sqe128 && i.cqe32 && i.napi && !i.personalities);
	assert_int_equal(i.sq_thread, 77);
	assert_int_equal(i.n_files, 5);
	assert_int_equal(i.files.n, 2);
	assert_string_equal(i.files.v[0].path, "/tmp/a b\\c");
	assert_int_equal(i.files.v[1].index, 3);
	assert_string_equal(i.files.v[1].path, "socket:[7]");
	assert_int_equal(i.n_buffers, 2);
	assert_int_equal(i.buffers.n, 1);
	assert_int_equal(i.buffers.v[0].addr, 0x56394ea5d2b0);
	assert_int_equal(i.buffers.v[0].len, 9999);
	assert_int_equal(i.n_polled, 1);
	assert_int_equal(i.n_overflown, 2);
	torture(&s->arena, parse, full, sizeof(full) - 1);
}

static void test_empty(void **state)
{
	struct session *s = *state;
	struct uring_fdinfo i;
	assert_int_equal(uring_fdinfo_parse(&s->arena, empty, sizeof(empty) - 1, &i), 0);
	assert_int_equal(i.sq_thread, -1);
	assert_false(i.n_sqes || i.sqe128 || i.cqe32 || i.napi || i.n_polled || i.n_overflown);
}

/* Linux 5.15 does not tell the kernel's own counters. */
static void test_old(void **state)
{
	struct session *s = *state;
	static const char text[] = "SqMask:\t0x7\nSqHead:\t0\nSqTail:\t0\nUserFiles:\t0\n";
	assert_int_equal(parse(&s->arena, text, sizeof(text) - 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(test_full),
		with_session(test_empty),
		with_session(test_old),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
