/* share.h: every piece once, each lane in its thread, failures and memory of both in one session. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#undef fail

#include "base/share.h"

enum { MANY = 5000 };

struct pieces {
	int times[MANY];
	char *text[MANY];
	size_t bad; /* this one fails */
};

static int count(struct session *s, void *arg, size_t i)
{
	struct pieces *p = arg;
	p->times[i]++;
	p->text[i] = arena_printf(&s->arena, "piece %zu", i);
	return i == p->bad ? fail(s, ENOSPC, "piece %zu is bad", i) : 0;
}

static void check(size_t n, typeof(share_out) *share)
{
	struct session s;
	session_init(&s);
	struct pieces *p = arena_new(&s.arena, struct pieces);
	p->bad = MANY;
	assert_int_equal(share(&s, n, count, p), 0);
	for (size_t i = 0; i < MANY; i++) {
		char want[32];
		snprintf(want, sizeof(want), "piece %zu", i);
		assert_int_equal(p->times[i], i < n);
		if (i < n)
			assert_string_equal(p->text[i], want);
	}
	session_release(&s);
}

static void test_each_once(void **state)
{
	(void)state;
	check(0, share_out);
	check(1, share_out);
	check(63, share_out);
	check(64, share_out);
	check(MANY - 3, share_out);
	check(MANY, share_out);
}

static void test_each_large_once(void **state)
{
	(void)state;
	for (size_t n = 0; n < 10; n++)
		check(n, share_out_large);
}

static void test_failure(void **state)
{
	(void)state;
	for (size_t bad = 0; bad < 200; bad += 7) {
		struct session s;
		session_init(&s);
		struct pieces *p = arena_new(&s.arena, struct pieces);
		p->bad = bad;
		assert_int_equal(share_out(&s, MANY, count, p), -ENOSPC);
		assert_int_equal(s.failure.err, ENOSPC);
		assert_non_null(strstr(s.failure.message, "is bad"));
		session_release(&s);
	}
}

struct lane_log {
	unsigned n_failing; /* the first ones */
	pthread_t thread[LANES_MAX];
	int times[LANES_MAX];
};

static int note_lane(struct session *s, void *arg, unsigned lane)
{
	struct lane_log *log = arg;
	log->thread[lane] = pthread_self();
	log->times[lane]++;
	block(s, (pid_t)lane, NULL, "seen by lane %u", lane);
	return lane < log->n_failing ? fail(s, EINVAL, "lane %u failed", lane) : 0;
}

static void test_lanes(void **state)
{
	(void)state;
	struct session s;
	session_init(&s);
	struct lane_log log = {0};
	assert_int_equal(lanes_open(&s, false), 1);
	assert_int_equal(lanes_run(&s, note_lane, &log), 0);
	assert_int_equal(log.times[1], 0);
	assert_int_equal(lanes_open(&s, true), 2);
	assert_int_equal(lanes_run(&s, note_lane, &log), 0);
	pthread_t first = log.thread[1];
	assert_false(pthread_equal(first, pthread_self()));
	assert_int_equal(share_out(&s, 0, NULL, NULL), 0);
	log.n_failing = 2;
	assert_int_equal(lanes_run(&s, note_lane, &log), -EINVAL);
	assert_string_equal(s.failure.message, "lane 0 failed");
	log.n_failing = 0;
	assert_int_equal(lane_run(&s, 1, note_lane, &log), 0);
	assert_true(pthread_equal(first, log.thread[1]));
	assert_int_equal(log.times[0], 3);
	assert_int_equal(log.times[1], 3);
	assert_int_equal(s.blockers.n, 6);
	assert_true(pthread_equal(pthread_self(), log.thread[0]));
	session_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_each_large_once),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_lanes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
