/* Readers and kcmp trees against this process, its threads and its children. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test_proc.h"

#include "kernel/kcmp.h"
#include "kernel/proc_fdinfo.h"
#include "kernel/proc_limits.h"
#include "kernel/proc_misc.h"
#include "kernel/proc_stat.h"
#include "kernel/proc_status.h"
#include "kernel/proc_tasks.h"
#include "kernel/proc_timers.h"
#include "kernel/syscalls.h"

static void test_stat_and_status(void **state)
{
	struct session *s = *state;
	struct proc_stat st;
	struct proc_status us;
	assert_int_equal(proc_stat_read(s, getpid(), &st), 0);
	assert_int_equal(st.pid, getpid());
	assert_int_equal(st.ppid, getppid());
	assert_int_equal(st.pgid, getpgid(0));
	assert_int_equal(st.sid, getsid(0));
	assert_int_equal(st.state, 'R');
	assert_true(st.start_stack > st.start_brk);
	assert_int_equal(proc_status_read(s, getpid(), &us), 0);
	assert_int_equal(us.ppid, getppid());
	assert_int_equal(us.uid[1], geteuid());
	assert_int_equal(us.threads, 1);
	assert_int_equal(us.nspid[us.n_nspid - 1], getpid());
	assert_int_equal(proc_status_read_tid(s, getpid(), getpid(), &us), 0);
	assert_false(proc_is_kthread(&st));

	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(proc_stat_read_at(s, proc, getpid(), &st), 0);
	assert_int_equal(proc_stat_read_at(s, proc, 0x3fffffff, &st), -ENOENT);
	close(proc);
	assert_int_equal(s->failure.err, 0);
}

static void test_zombie(void **state)
{
	struct session *s = *state;
	pid_t child = fork();
	if (!child)
		_exit(7);
	siginfo_t info;
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	struct proc_stat st;
	struct proc_status us;
	pid_vec children = {0};
	uint64_t *words;
	size_t n = 0;
	assert_int_equal(proc_stat_read(s, child, &st), 0);
	assert_int_equal(st.state, 'Z');
	assert_int_equal(st.exit_code, 7 << 8);
	assert_int_equal(proc_status_read(s, child, &us), 0);
	assert_int_equal(us.state, 'Z');
	if (!geteuid()) { /* others may not look at what has no mm */
		int err = proc_auxv(s, child, &words, &n);
		assert_true(err == -ESRCH || (!err && !n)); /* by kernel version */
	}
	assert_int_equal(proc_list_children(s, getpid(), &children), 0);
	assert_int_equal(children.n, 1);
	assert_int_equal(children.v[0], child);
	waitpid(child, NULL, 0);
	assert_true(proc_gone(proc_stat_read(s, child, &st)));
	assert_int_equal(s->failure.err, 0);
}

enum { N_THREADS = 600, N_CHILDREN = 700 };

static void *wait_there(void *barrier)
{
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	return NULL;
}

static void test_many_threads(void **state)
{
	struct session *s = *state;
	pthread_barrier_t barrier;
	pthread_t threads[N_THREADS];
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	pthread_barrier_init(&barrier, NULL, N_THREADS + 1);
	for (int i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], &attr, wait_there, &barrier), 0);
	pthread_barrier_wait(&barrier);
	pid_vec tids = {0};
	assert_int_equal(proc_list_tids(s, getpid(), &tids), 0);
	assert_int_equal(tids.n, N_THREADS + 1);
	assert_int_equal(tids.v[0], getpid());
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void test_many_children(void **state)
{
	struct session *s = *state;
	pid_t made[N_CHILDREN];
	int gate[2];
	char byte;
	assert_int_equal(pipe(gate), 0);
	for (int i = 0; i < N_CHILDREN; i++) {
		made[i] = fork();
		if (!made[i]) {
			close(gate[1]);
			_exit(read(gate[0], &byte, 1) != 0);
		}
	}
	pid_vec children = {0};
	assert_int_equal(proc_list_children(s, getpid(), &children), 0);
	assert_int_equal(children.n, N_CHILDREN);
	for (int i = 0; i < N_CHILDREN; i++)
		assert_int_equal(children.v[i], made[i]);
	close(gate[1]);
	close(gate[0]);
	for (int i = 0; i < N_CHILDREN; i++)
		waitpid(made[i], NULL, 0);
}

static void test_limits(void **state)
{
	struct session *s = *state;
	struct proc_limits l;
	assert_int_equal(proc_limits_read(s, getpid(), &l), 0);
	for (int i = 0; i < N_RLIMITS; i++) {
		struct rlimit r;
		assert_int_equal(getrlimit(i, &r), 0);
		assert_int_equal(l.limit[i].cur, r.rlim_cur);
		assert_int_equal(l.limit[i].max, r.rlim_max);
	}
}

static void test_timers(void **state)
{
	struct session *s = *state;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	ev.sigev_value.sival_ptr = (void *)0x123456789;
	timer_t timer;
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
	proc_timer_vec v = {0};
	assert_int_equal(proc_timers_read(s, getpid(), &v), 0);
	assert_int_equal(v.n, 1);
	assert_int_equal(v.v[0].signo, SIGRTMIN + 1);
	assert_int_equal(v.v[0].sigev_value, 0x123456789);
	assert_int_equal(v.v[0].notify, SIGEV_SIGNAL);
	assert_int_equal(v.v[0].notify_id, getpid());
	assert_int_equal(v.v[0].clock, CLOCK_MONOTONIC);
	timer_delete(timer);
}

static void test_fdinfo(void **state)
{
	struct session *s = *state;
	_cleanup_proc_buf_ struct proc_buf b = {0};
	struct proc_fdinfo info;
	uint64_t count;
	int fd = eventfd(0x2a, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(proc_fdinfo_read(s, getpid(), fd, &b, &info), 0);
	assert_int_equal(info.flags, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	assert_true(fdinfo_number(&info, "eventfd-count", 16, &count));
	assert_int_equal(count, 0x2a);
	close(fd);
	assert_int_equal(proc_fdinfo_read(s, getpid(), fd, &b, &info), -ENOENT);

	uint64_t mnt_id;
	fd = open("/", O_PATH | O_CLOEXEC);
	assert_int_equal(proc_fdinfo_read(s, getpid(), fd, &b, &info), 0);
	assert_int_equal(sys_mount_id(fd, "", 0, &mnt_id), 0);
	assert_int_equal(info.mnt_id, mnt_id);
	close(fd);
}

static void test_misc(void **state)
{
	struct session *s = *state;
	uint32_t value;
	uint64_t slack, *words;
	size_t n;
	int adj;
	char *text;
	assert_int_equal(proc_personality(s, getpid(), &value), 0);
	assert_int_equal(value, personality(0xffffffff));
	assert_int_equal(proc_oom_score_adj(s, getpid(), &adj), 0);
	assert_int_equal(proc_coredump_filter(s, getpid(), &value), 0);
	assert_int_equal(proc_timerslack_ns(s, getpid(), &slack), 0);
	int err = proc_loginuid(s, getpid(), &value);
	assert_true(!err || err == -ENOENT);
	err = proc_autogroup_nice(s, getpid(), &adj);
	assert_true(!err || err == -ENOENT);
	assert_int_equal(proc_auxv(s, getpid(), &words, &n), 0);
	uint64_t entry = 0;
	for (size_t i = 0; i + 1 < n; i += 2)
		if (words[i] == AT_ENTRY)
			entry = words[i + 1];
	assert_int_equal(entry, getauxval(AT_ENTRY));
	assert_int_equal(proc_cgroup(s, getpid(), &text), 0);
	assert_int_equal(proc_exe(s, getpid(), &text), 0);
	assert_non_null(strstr(text, "test_proc_live"));
	char cwd[4096];
	assert_int_equal(proc_cwd(s, getpid(), &text), 0);
	assert_string_equal(text, getcwd(cwd, sizeof(cwd)));
	assert_int_equal(proc_root(s, getpid(), &text), 0);
	assert_string_equal(text, "/");
	assert_int_equal(s->failure.err, 0);
}

static void test_long_link(void **state)
{
	struct session *s = *state;
	char dir[] = "/tmp/fermata-link-XXXXXX", target[3000], *text;
	assert_non_null(mkdtemp(dir));
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	memset(target, 't', sizeof(target) - 1);
	for (size_t len = 255; len < sizeof(target); len = len < 257 ? len + 1 : 2999) {
		target[len] = '\0';
		assert_int_equal(symlinkat(target, fd, "l"), 0);
		assert_int_equal(proc_readlink_at(s, fd, "l", &text), 0);
		assert_string_equal(text, target);
		target[len] = 't';
		unlinkat(fd, "l", 0);
		if (len == 2999)
			break;
	}
	close(fd);
	rmdir(dir);
}

static void test_kcmp_files(void **state)
{
	struct session *s = *state;
	struct kcmp_tree tree = KCMP_TREE(KCMP_FILE, 5);
	struct kcmp_node *first, *again, *other;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), twin = dup(fd);
	int apart = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(kcmp_files(s, getpid(), fd, getpid(), twin), 0);
	int order = kcmp_files(s, getpid(), fd, getpid(), apart);
	assert_true(order == 1 || order == -1);
	assert_int_equal(kcmp_files(s, getpid(), apart, getpid(), fd), -order);
	assert_int_equal(kcmp_tree_file(s, &tree, getpid(), fd, 1, &first), 0);
	assert_int_equal(kcmp_tree_file(s, &tree, getpid(), apart, 1, &other), 0);
	assert_int_equal(kcmp_tree_file(s, &tree, getpid(), twin, 1, &again), 0);
	assert_int_equal(first->id, 5);
	assert_int_equal(other->id, 6);
	assert_ptr_equal(again, first);
	assert_int_equal(again->fd, fd);
	int many[200];
	struct kcmp_node *node[200];
	for (int i = 0; i < 200; i++) {
		many[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_int_equal(
			kcmp_tree_file(s, &tree, getpid(), many[i], (uint64_t)i / 50, &node[i]), 0);
		assert_int_equal(node[i]->id, 7 + i);
	}
	for (int i = 0; i < 200; i++) {
		assert_int_equal(
			kcmp_tree_file(s, &tree, getpid(), many[i], (uint64_t)i / 50, &again), 0);
		assert_ptr_equal(again, node[i]);
	}
	for (int i = 0; i < 200; i++)
		close(many[i]);
	close(fd);
	close(twin);
	close(apart);
	assert_int_equal(kcmp_files(s, getpid(), 0, getpid(), apart), -EBADF);
	assert_int_equal(s->failure.err, EBADF);
}

static void test_kcmp_tasks(void **state)
{
	struct session *s = *state;
	int gate[2];
	char byte;
	assert_int_equal(pipe(gate), 0);
	struct clone_args args = {.flags = CLONE_FILES, .exit_signal = SIGCHLD};
	pid_t child = sys_clone3(&args);
	if (!child)
		_exit(read(gate[0], &byte, 1) != 1);
	assert_true(child > 0);
	struct kcmp_tree files = KCMP_TREE(KCMP_FILES, 2), vm = KCMP_TREE(KCMP_VM, 2);
	struct kcmp_node *mine, *its;
	assert_int_equal(kcmp_tree_task(s, &files, getpid(), &mine), 0);
	assert_int_equal(kcmp_tree_task(s, &files, child, &its), 0);
	assert_ptr_equal(mine, its);
	assert_int_equal(kcmp_tree_task(s, &vm, getpid(), &mine), 0);
	assert_int_equal(kcmp_tree_task(s, &vm, child, &its), 0);
	assert_int_equal(mine->id, 2);
	assert_int_equal(its->id, 3);
	assert_int_equal(write(gate[1], "x", 1), 1);
	waitpid(child, NULL, 0);
	close(gate[0]);
	close(gate[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(test_stat_and_status),
		with_session(test_zombie),
		with_session(test_many_threads),
		with_session(test_many_children),
		with_session(test_limits),
		with_session(test_timers),
		with_session(test_fdinfo),
		with_session(test_misc),
		with_session(test_long_link),
		with_session(test_kcmp_files),
		with_session(test_kcmp_tasks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
