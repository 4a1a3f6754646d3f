/* Parsers of stat, status, children, limits, timers and fdinfo against captured text. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "test_proc.h"

#include "kernel/fdinfo_epoll.h"
#include "kernel/fdinfo_fsnotify.h"
#include "kernel/fdinfo_timerfd.h"
#include "kernel/proc_fdinfo.h"
#include "kernel/proc_limits.h"
#include "kernel/proc_locks.h"
#include "kernel/proc_stat.h"
#include "kernel/proc_status.h"
#include "kernel/proc_tasks.h"
#include "kernel/proc_timers.h"

#define STAT_TAIL                                                                                  \
	" 4542 4541 2697 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 3 0 93947 3133440 416 "               \
	"18446744073709551615 94807082442752 94807082462633 140727411399840 0 0 0 0 0 0 0 0 0 17 " \
	"1 0 0 0 0 0 94807082478640 94807082480256 94807926886400 140727411403404 "                \
	"140727411403424 "                                                                         \
	"140727411403425 140727411404779 256\n"

static int parse_stat(struct arena *a, const char *text, size_t len)
{
	(void)a;
	struct proc_stat st;
	return proc_stat_parse(text, len, &st);
}

static void test_stat(void **state)
{
	struct session *s = *state;
	static const char text[] = "4547 (a) R 1 (b\n) Z" STAT_TAIL;
	struct proc_stat st;
	assert_int_equal(proc_stat_parse(text, sizeof(text) - 1, &st), 0);
	assert_string_equal(st.comm, "a) R 1 (b\n");
	assert_int_equal(st.pid, 4547);
	assert_int_equal(st.state, 'Z');
	assert_int_equal(st.ppid, 4542);
	assert_int_equal(st.pgid, 4541);
	assert_int_equal(st.sid, 2697);
	assert_int_equal(st.tty_pgrp, -1);
	assert_int_equal(st.flags, 4194304);
	assert_int_equal(st.num_threads, 3);
	assert_int_equal(st.starttime, 93947);
	assert_int_equal(st.start_code, 94807082442752);
	assert_int_equal(st.end_code, 94807082462633);
	assert_int_equal(st.start_stack, 140727411399840);
	assert_int_equal(st.start_data, 94807082478640);
	assert_int_equal(st.end_data, 94807082480256);
	assert_int_equal(st.start_brk, 94807926886400);
	assert_int_equal(st.arg_start, 140727411403404);
	assert_int_equal(st.arg_end, 140727411403424);
	assert_int_equal(st.env_start, 140727411403425);
	assert_int_equal(st.env_end, 140727411404779);
	assert_int_equal(st.exit_code, 256);
	torture(&s->arena, parse_stat, text, sizeof(text) - 1);
}

static void test_stat_odd_names(void **state)
{
	(void)state;
	struct proc_stat st;
	static const char empty[] = "1 () S" STAT_TAIL;
	assert_int_equal(proc_stat_parse(empty, sizeof(empty) - 1, &st), 0);
	assert_string_equal(st.comm, "");
	static const char cut[] = "1 (x) S 1 2 3";
	assert_int_equal(proc_stat_parse(cut, sizeof(cut) - 1, &st), -EINVAL);
	char longer[1024] = "1 (";
	memset(longer + 3, 'k', 200);
	strcpy(longer + 203, ") S" STAT_TAIL);
	assert_int_equal(proc_stat_parse(longer, strlen(longer), &st), 0);
	assert_int_equal(strlen(st.comm), PROC_COMM_MAX - 1);
}

static const char status_text[] =
	"Name:\tPid:\\n\t9\nUmask:\t0022\nState:\tt (tracing "
	"stop)\nTgid:\t4546\nNgid:\t0\nPid:\t4550\n"
	"PPid:\t4542\nTracerPid:\t77\nUid:\t1000\t1001\t1002\t4294967294\nGid:\t1\t2\t3\t4\n"
	"FDSize:\t256\nGroups:\t4 24 4294967294 \nNStgid:\t4546\t9\nNSpid:\t4550\t13\t2\n"
	"NSpgid:\t4542\nNSsid:\t2697\nKthread:\t0\nVmPeak:\t    3060 kB\nVmRSS:\t    1728 kB\n"
	"untag_mask:\t0xffffffffffffffff\nThreads:\t12\nSigQ:\t0/96365\n"
	"SigPnd:\t0000000000000001\nShdPnd:\t8000000000000000\nSigBlk:\tfffffffe7ffbfeff\n"
	"SigIgn:\t0000000000000006\nSigCgt:\t0000000180000000\nCapInh:\t0000000000000010\n"
	"CapPrm:\t000001fffeffffff\nCapEff:\t000001fffeffff00\nCapBnd:\t000001ffffffffff\n"
	"CapAmb:\t0000000000000001\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n"
	"x86_Thread_features:\tshstk wrss \nx86_Thread_features_locked:\tshstk \n"
	"Cpus_allowed:\t3\nMems_allowed_list:\t0\n";

static int parse_status(struct arena *a, const char *text, size_t len)
{
	struct proc_status st;
	return proc_status_parse(a, text, len, &st);
}

static void test_status(void **state)
{
	struct session *s = *state;
	struct proc_status st;
	assert_int_equal(
		proc_status_parse(&s->arena, status_text, sizeof(status_text) - 1, &st), 0);
	assert_int_equal(st.umask, 0022);
	assert_int_equal(st.state, 't');
	assert_int_equal(st.tgid, 4546);
	assert_int_equal(st.pid, 4550);
	assert_int_equal(st.ppid, 4542);
	assert_int_equal(st.tracer, 77);
	assert_int_equal(st.uid[1], 1001);
	assert_int_equal(st.uid[3], 4294967294U);
	assert_int_equal(st.gid[3], 4);
	assert_int_equal(st.groups.n, 3);
	assert_int_equal(st.groups.v[2], 4294967294U);
	assert_int_equal(st.n_nspid, 3);
	assert_int_equal(st.nspid[2], 2);
	assert_int_equal(st.kthread, 0);
	assert_int_equal(st.threads, 12);
	assert_int_equal(st.fd_size, 256);
	assert_int_equal(st.sig_pnd, 1);
	assert_int_equal(st.shd_pnd, 1ULL << 63);
	assert_int_equal(st.sig_blk, 0xfffffffe7ffbfeffULL);
	assert_int_equal(st.sig_ign, 6);
	assert_int_equal(st.sig_cgt, 0x180000000);
	assert_int_equal(st.cap_inh, 0x10);
	assert_int_equal(st.cap_prm, 0x1fffeffffff);
	assert_int_equal(st.cap_eff, 0x1fffeffff00);
	assert_int_equal(st.cap_bnd, 0x1ffffffffff);
	assert_int_equal(st.cap_amb, 1);
	assert_int_equal(st.no_new_privs, 1);
	assert_true(st.shadow_stack && st.tells_features);
	assert_int_equal(st.seccomp, 2);
	assert_int_equal(st.seccomp_filters, 3);
	torture(&s->arena, parse_status, status_text, sizeof(status_text) - 1);
}

static void test_status_sparse(void **state)
{
	struct session *s = *state;
	static const char zombie[] =
		"Name:\tx\nState:\tZ (zombie)\nPid:\t5\nPPid:\t0\nGroups:\t \n";
	struct proc_status st;
	assert_int_equal(proc_status_parse(&s->arena, zombie, sizeof(zombie) - 1, &st), 0);
	assert_int_equal(st.groups.n, 0);
	assert_int_equal(st.kthread, -1);
	assert_int_equal(st.seccomp_filters, -1);
	assert_int_equal(proc_status_parse(&s->arena, zombie, 7, &st), -EINVAL);
	static const char bad[] = "State:\tR\nPid:\tx\nPPid:\t1\n";
	assert_int_equal(proc_status_parse(&s->arena, bad, sizeof(bad) - 1, &st), -EINVAL);
}

static int parse_children(struct arena *a, const char *text, size_t len)
{
	pid_vec pids = {0};
	return proc_children_parse(a, text, len, &pids);
}

static void test_children(void **state)
{
	struct session *s = *state;
	pid_vec pids = {0};
	assert_int_equal(proc_children_parse(&s->arena, "", 0, &pids), 0);
	assert_int_equal(pids.n, 0);
	assert_int_equal(proc_children_parse(&s->arena, "7 4194304 ", 10, &pids), 0);
	assert_int_equal(pids.n, 2);
	assert_int_equal(pids.v[1], 4194304);
	assert_int_equal(proc_children_parse(&s->arena, "7 x", 3, &pids), -EINVAL);
	assert_int_equal(proc_children_parse(&s->arena, "-7", 2, &pids), -EINVAL);
	torture(&s->arena, parse_children, "7 4194304 123 ", 14);
}

static const char limits_text[] =
	"Limit                     Soft Limit           Hard Limit           Units     \n"
	"Max cpu time              unlimited            unlimited            seconds   \n"
	"Max file size             unlimited            unlimited            bytes     \n"
	"Max data size             unlimited            unlimited            bytes     \n"
	"Max stack size            8388608              unlimited            bytes     \n"
	"Max core file size        0                    unlimited            bytes     \n"
	"Max resident set          unlimited            unlimited            bytes     \n"
	"Max processes             96365                96366                processes \n"
	"Max open files            20000                18446744073709551614 files     \n"
	"Max locked memory         8388608              8388608              bytes     \n"
	"Max address space         unlimited            unlimited            bytes     \n"
	"Max file locks            unlimited            unlimited            locks     \n"
	"Max pending signals       96365                96365                signals   \n"
	"Max msgqueue size         819200               819200               bytes     \n"
	"Max nice priority         1                    2                    \n"
	"Max realtime priority     3                    4                    \n"
	"Max realtime timeout      unlimited            7                    us        \n";

static int parse_limits(struct arena *a, const char *text, size_t len)
{
	(void)a;
	struct proc_limits l;
	return proc_limits_parse(text, len, &l);
}

static void test_limits(void **state)
{
	struct session *s = *state;
	struct proc_limits l;
	assert_int_equal(proc_limits_parse(limits_text, sizeof(limits_text) - 1, &l), 0);
	assert_true(l.limit[RLIMIT_CPU].cur == UINT64_MAX);
	assert_int_equal(l.limit[RLIMIT_STACK].cur, 8388608);
	assert_int_equal(l.limit[RLIMIT_NPROC].max, 96366);
	assert_true(l.limit[RLIMIT_NOFILE].max == 18446744073709551614ULL);
	assert_int_equal(l.limit[RLIMIT_NICE].max, 2);
	assert_int_equal(l.limit[RLIMIT_RTPRIO].cur, 3);
	assert_int_equal(l.limit[RLIMIT_RTTIME].max, 7);
	assert_int_equal(proc_limits_parse(limits_text, 900, &l), -EINVAL);
	torture(&s->arena, parse_limits, limits_text, sizeof(limits_text) - 1);
}

static const char timers_text[] = "ID: 0\nsignal: 34/00007ffc12345678\nnotify: signal/tid.812\n"
				  "ClockID: 1\nID: 2147483647\nsignal: 0/0000000000000000\n"
				  "notify: none/pid.7\nClockID: -6\n";

static int parse_timers(struct arena *a, const char *text, size_t len)
{
	proc_timer_vec t = {0};
	return proc_timers_parse(a, text, len, &t);
}

static void test_timers(void **state)
{
	struct session *s = *state;
	proc_timer_vec t = {0};
	assert_int_equal(proc_timers_parse(&s->arena, "", 0, &t), 0);
	assert_int_equal(proc_timers_parse(&s->arena, timers_text, sizeof(timers_text) - 1, &t), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.v[0].signo, 34);
	assert_int_equal(t.v[0].sigev_value, 0x7ffc12345678);
	assert_int_equal(t.v[0].notify, SIGEV_SIGNAL | 4);
	assert_int_equal(t.v[0].notify_id, 812);
	assert_int_equal(t.v[1].id, 2147483647);
	assert_int_equal(t.v[1].notify, SIGEV_NONE);
	assert_int_equal(t.v[1].clock, -6);
	torture(&s->arena, parse_timers, timers_text, sizeof(timers_text) - 1);
}

static const char epoll_text[] =
	"pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t1057\n"
	"tfd:        5 events:       1d data: ffffffffffffffff  pos:0 ino:61af sdev:7\n"
	"tfd:        7 events:       1d data:                7  pos:0 ino:61ag sdev:7\n";

static int parse_fdinfo(struct arena *a, const char *text, size_t len)
{
	struct proc_fdinfo info;
	return proc_fdinfo_parse(a, text, len, &info);
}

static void test_fdinfo(void **state)
{
	struct session *s = *state;
	struct proc_fdinfo info;
	assert_int_equal(
		proc_fdinfo_parse(&s->arena, epoll_text, sizeof(epoll_text) - 1, &info), 0);
	assert_int_equal(info.pos, 0);
	assert_int_equal(info.flags, O_RDWR | O_CLOEXEC);
	assert_int_equal(info.mnt_id, 15);
	assert_int_equal(info.ino, 1057);
	struct scan c = fdinfo_extra(&info), value;
	int lines = 0;
	while (fdinfo_next(&c, "tfd", &value)) {
		uint64_t fd;
		assert_true(scan_u64(&value, &fd));
		assert_int_equal(fd, lines ? 7 : 5);
		lines++;
	}
	assert_int_equal(lines, 2);
	torture(&s->arena, parse_fdinfo, epoll_text, sizeof(epoll_text) - 1);
}

static void test_fdinfo_old_and_numbers(void **state)
{
	struct session *s = *state;
	static const char text[] = "pos:\t-1\nflags:\t0100000\nmnt_id:\t9\n"
				   "eventfd-count:               1f\nsigmask:\t0000000000004000\n";
	struct proc_fdinfo info;
	uint64_t value;
	assert_int_equal(proc_fdinfo_parse(&s->arena, text, sizeof(text) - 1, &info), 0);
	assert_int_equal(info.pos, -1);
	assert_int_equal(info.ino, 0);
	assert_true(fdinfo_number(&info, "eventfd-count", 16, &value));
	assert_int_equal(value, 0x1f);
	assert_true(fdinfo_number(&info, "sigmask", 16, &value));
	assert_int_equal(value, 0x4000);
	assert_false(fdinfo_number(&info, "clockid", 10, &value));
	assert_int_equal(proc_fdinfo_parse(&s->arena, "flags:\t0\n", 9, &info), -EINVAL);
}

static int parse_timerfd(struct arena *a, const char *text, size_t len)
{
	struct proc_fdinfo info;
	struct fdinfo_timerfd t;
	int r = proc_fdinfo_parse(a, text, len, &info);
	return r < 0 ? r : fdinfo_timerfd_parse(&info, &t) ? 0 : -EINVAL;
}

static void test_fdinfo_timerfd(void **state)
{
	struct session *s = *state;
	static const char text[] = "pos:	0\nflags:	02000002\nmnt_id:	15\nino:	1057\n"
				   "clockid: 7\nticks: 18446744073709551615\nsettime flags: 03\n"
				   "it_value: (3, 999999999)\nit_interval: (0, 5)\n";
	struct proc_fdinfo info;
	struct fdinfo_timerfd t;
	assert_int_equal(proc_fdinfo_parse(&s->arena, text, sizeof(text) - 1, &info), 0);
	assert_true(fdinfo_timerfd_parse(&info, &t));
	assert_int_equal(t.clock, 7);
	assert_true(t.ticks == UINT64_MAX);
	assert_int_equal(t.settime_flags, 3);
	assert_int_equal(t.value_sec, 3);
	assert_int_equal(t.value_nsec, 999999999);
	assert_int_equal(t.interval_sec, 0);
	assert_int_equal(t.interval_nsec, 5);
	torture(&s->arena, parse_timerfd, text, sizeof(text) - 1);
}

static const char locks_text[] =
	"1: POSIX  ADVISORY  WRITE 812 00:2b:1234 10 19\n"
	"1: -> POSIX  ADVISORY  READ 813 00:2b:1234 0 EOF\n"
	"2: FLOCK  ADVISORY  READ 0 103:02:18446744073709551615 0 EOF\n"
	"3: OFDLCK ADVISORY  READ -1 08:01:5 9223372036854775806 9223372036854775806\n"
	"4: LEASE  BREAKING  UNLCK 7 08:01:6 0 EOF\n"
	"5: LEASE  ACTIVE    WRITE 7 08:01:6 0 EOF\n"
	"6: DELEG  ACTIVE    READ 7 08:01:6 0 EOF\n"
	"7: LEASE  BREAKER   READ 7 <none>:0 0 EOF\n";

static int parse_locks(struct arena *a, const char *text, size_t len)
{
	(void)a;
	struct scan c = SCAN(text, len), line;
	struct lock_info lock;
	int r = 0;
	while (scan_line(&c, &line))
		r = lock_parse(&line, &lock) ? r : -EINVAL;
	return r;
}

static void test_locks(void **state)
{
	struct session *s = *state;
	static const struct lock_info wanted[] = {
		{LOCK_POSIX, F_WRLCK, false, false, 812, 1234, 10, 19},
		{LOCK_POSIX, F_RDLCK, false, true, 813, 1234, 0, -1},
		{LOCK_FLOCK, F_RDLCK, false, false, 0, UINT64_MAX, 0, -1},
		{LOCK_OFD, F_RDLCK, false, false, -1, 5, INT64_MAX - 1, INT64_MAX - 1},
		{LOCK_LEASE, F_UNLCK, true, false, 7, 6, 0, -1},
		{LOCK_LEASE, F_WRLCK, false, false, 7, 6, 0, -1},
		{LOCK_OTHER, F_RDLCK, false, false, 7, 6, 0, -1},
		{LOCK_LEASE, F_RDLCK, false, false, 7, 0, 0, -1},
	};
	struct scan c = SCAN(locks_text, sizeof(locks_text) - 1), line;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		struct lock_info got;
		const struct lock_info *w = &wanted[i];
		assert_true(scan_line(&c, &line) && lock_parse(&line, &got));
		assert_int_equal(got.kind, w->kind);
		assert_int_equal(got.type, w->type);
		assert_int_equal(got.breaking, w->breaking);
		assert_int_equal(got.waiting, w->waiting);
		assert_int_equal(got.pid, w->pid);
		assert_true(got.ino == w->ino && got.start == w->start && got.end == w->end);
	}
	char text[LOCK_TEXT];
	assert_string_equal(lock_text(&wanted[0], text), "a POSIX write lock on bytes 10 to 19");
	assert_string_equal(lock_text(&wanted[2], text), "a flock read lock");
	assert_string_equal(lock_text(&wanted[5], text), "a write lease");
	torture(&s->arena, parse_locks, locks_text, sizeof(locks_text) - 1);
}

static int parse_epoll(struct arena *a, const char *text, size_t len)
{
	struct proc_fdinfo info;
	struct fdinfo_epoll_target t;
	bool malformed;
	int r = proc_fdinfo_parse(a, text, len, &info);
	struct scan c = fdinfo_extra(&info);
	while (r >= 0 && fdinfo_epoll_next(&c, &t, &malformed))
		;
	return r < 0 || malformed ? -EINVAL : 0;
}

static void test_fdinfo_epoll(void **state)
{
	struct session *s = *state;
	static const char text[] =
		"pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1057\n"
		"tfd:       16 events: 80000019 data: 1122334455667788  pos:-3 ino:410 sdev:800001\n"
		"tfd:        5 events:       1b data:                0 \n";
	struct proc_fdinfo info;
	struct fdinfo_epoll_target t;
	bool malformed;
	assert_int_equal(proc_fdinfo_parse(&s->arena, text, sizeof(text) - 1, &info), 0);
	struct scan c = fdinfo_extra(&info);
	assert_true(fdinfo_epoll_next(&c, &t, &malformed));
	assert_int_equal(t.number, 16);
	assert_true(t.events == 0x80000019u);
	assert_true(t.data == 0x1122334455667788u);
	assert_true(t.has_inode);
	assert_int_equal(t.pos, -3);
	assert_int_equal(t.ino, 0x410);
	assert_int_equal(t.dev, 0x800001);
	assert_true(fdinfo_epoll_next(&c, &t, &malformed));
	assert_int_equal(t.number, 5);
	assert_false(t.has_inode);
	assert_false(fdinfo_epoll_next(&c, &t, &malformed));
	assert_false(malformed);
	torture(&s->arena, parse_epoll, text, sizeof(text) - 1);
}

static int parse_marks(struct arena *a, const char *text, size_t len)
{
	struct proc_fdinfo info;
	struct fdinfo_mark m;
	bool malformed;
	int r = proc_fdinfo_parse(a, text, len, &info);
	struct scan c = fdinfo_extra(&info);
	while (r >= 0 && fdinfo_mark_next(&c, "fanotify", &m, &malformed))
		;
	return r < 0 || malformed ? -EINVAL : 0;
}

static void test_fdinfo_marks(void **state)
{
	struct session *s = *state;
	static const char text[] =
		"pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1057\nfanotify flags:3 event-flags:8002\n"
		"fanotify ino:af865a sdev:fe00000 mflags:200 mask:8000020 ignored_mask:0 "
		"fhandle-bytes:8 fhandle-type:1 f_handle:5a86af004d851bc3\n"
		"fanotify mnt_id:43 mflags:0 mask:20 ignored_mask:1\n"
		"fanotify sdev:15 mflags:0 mask:1000 ignored_mask:0\n";
	static const uint8_t handle[] = {0x5a, 0x86, 0xaf, 0, 0x4d, 0x85, 0x1b, 0xc3, 0};
	struct proc_fdinfo info;
	struct fdinfo_mark m;
	bool malformed;
	assert_int_equal(proc_fdinfo_parse(&s->arena, text, sizeof(text) - 1, &info), 0);
	struct scan c = fdinfo_extra(&info);
	assert_true(fdinfo_mark_next(&c, "fanotify", &m, &malformed));
	assert_int_equal(m.kind, MARK_GROUP);
	assert_int_equal(m.flags, 3);
	assert_int_equal(m.event_flags, 0x8002);
	assert_true(fdinfo_mark_next(&c, "fanotify", &m, &malformed));
	assert_int_equal(m.kind, MARK_INODE);
	assert_int_equal(m.ino, 0xaf865a);
	assert_int_equal(m.sdev, 0xfe00000);
	assert_int_equal(m.mflags, 0x200);
	assert_int_equal(m.mask, 0x8000020);
	assert_int_equal(m.handle_bytes, 8);
	assert_int_equal(m.handle_type, 1);
	assert_memory_equal(m.handle, handle, sizeof(handle));
	assert_true(fdinfo_mark_next(&c, "fanotify", &m, &malformed));
	assert_int_equal(m.kind, MARK_MOUNT);
	assert_int_equal(m.mnt_id, 0x43);
	assert_int_equal(m.ignored_mask, 1);
	assert_true(fdinfo_mark_next(&c, "fanotify", &m, &malformed));
	assert_int_equal(m.kind, MARK_FILESYSTEM);
	assert_int_equal(m.sdev, 0x15);
	assert_false(fdinfo_mark_next(&c, "fanotify", &m, &malformed));
	assert_false(malformed);
	torture(&s->arena, parse_marks, text, sizeof(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(test_stat),
		with_session(test_stat_odd_names),
		with_session(test_status),
		with_session(test_status_sparse),
		with_session(test_children),
		with_session(test_limits),
		with_session(test_timers),
		with_session(test_fdinfo),
		with_session(test_fdinfo_old_and_numbers),
		with_session(test_fdinfo_timerfd),
		with_session(test_fdinfo_epoll),
		with_session(test_fdinfo_marks),
		with_session(test_locks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
