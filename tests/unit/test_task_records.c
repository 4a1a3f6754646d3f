/* What the kernel's structures say of traced children, against what /proc and kcmp(2) say. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kcmp.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test_proc.h"

#include "base/cleanup.h"
#include "kernel/bpf.h"
#include "kernel/btf.h"
#include "kernel/proc_misc.h"
#include "kernel/proc_status.h"
#include "kernel/proc_timers.h"
#include "kernel/task_records.h"

enum { PLAIN, SAME, ODD, N_CHILDREN };

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	if (fd >= 0 && write(fd, text, strlen(text)) >= 0)
		close(fd);
}

/* Nothing of it is as it was in the parent. */
static void become_odd(void)
{
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
	struct sock_fprog filter = {1, &allow};
	sigset_t blocked;
	timer_t timer;
	write_text("/proc/self/oom_score_adj", "123");
	write_text("/proc/self/loginuid", "4321");
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	syscall(SYS_tkill, getpid(), SIGUSR2);
	bool done = timer_create(CLOCK_MONOTONIC, &none, &timer) == 0 && chdir("/proc") == 0 &&
		    unshare(CLONE_NEWUTS) == 0 && syscall(SYS_setresuid, 77, 77, 77) == 0 &&
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
	if (!done)
		_exit(1);
}

static pid_t start_child(int which)
{
	int ready[2];
	char b;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (which == ODD)
			become_odd();
		if (write(ready[1], "r", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &b, 1), 1);
	close(ready[0]);
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, NULL, __WALL), pid);
	return pid;
}

static bool same_object(enum kcmp_type type, pid_t a, pid_t b)
{
	return syscall(SYS_kcmp, a, b, type, 0, 0) == 0;
}

static void check_objects(const struct task_record *a, const struct task_record *b)
{
	pid_t pa = (pid_t)a->tid, pb = (pid_t)b->tid;
	assert_int_equal(a->mm == b->mm, same_object(KCMP_VM, pa, pb));
	assert_int_equal(a->files == b->files, same_object(KCMP_FILES, pa, pb));
	assert_int_equal(a->fs == b->fs, same_object(KCMP_FS, pa, pb));
	assert_int_equal(a->sighand == b->sighand, same_object(KCMP_SIGHAND, pa, pb));
}

static void check_values(struct session *s, const struct task_record *r)
{
	pid_t pid = (pid_t)r->tid;
	struct proc_status status;
	proc_timer_vec timers = {0};
	int adj = 0;
	uint32_t loginuid = 0;
	assert_int_equal(proc_status_read(s, pid, &status), 0);
	assert_int_equal(proc_timers_read(s, pid, &timers), 0);
	assert_int_equal(proc_oom_score_adj(s, pid, &adj), 0);
	assert_int_equal(r->sig_pnd, status.sig_pnd);
	assert_int_equal(r->seccomp, status.seccomp);
	assert_int_equal((int16_t)r->oom_score_adj, adj);
	if (proc_loginuid(s, pid, &loginuid) == 0)
		assert_int_equal((uint32_t)r->loginuid, loginuid);
	assert_true(timers.n ? r->posix_timers != 0 : r->posix_timers <= 1);
}

static bool same_path(struct path_record a, struct path_record b)
{
	return a.mount == b.mount && a.dentry == b.dentry;
}

static void check_records(struct session *s, const task_record_vec *v, const pid_t *pids)
{
	const struct task_record *plain = task_record_find(v, pids[PLAIN]);
	const struct task_record *same = task_record_find(v, pids[SAME]);
	const struct task_record *odd = task_record_find(v, pids[ODD]);
	assert_non_null(plain);
	assert_non_null(same);
	assert_non_null(odd);
	assert_null(task_record_find(v, getpid()));
	check_values(s, plain);
	check_values(s, odd);
	check_objects(plain, same);
	check_objects(plain, odd);
	assert_true(plain->mm && plain->files && plain->fs && plain->sighand);
	assert_true(plain->creds && plain->user_ns && plain->nsproxy);
	assert_true(plain->nsproxy == same->nsproxy && plain->nsproxy != odd->nsproxy);
	assert_true(plain->user_ns == odd->user_ns && plain->creds != odd->creds);
	assert_true(plain->pid_ns_level == odd->pid_ns_level);
	assert_true(plain->exe.dentry && same_path(plain->exe, odd->exe));
	assert_true(plain->root.dentry && same_path(plain->root, odd->root));
	assert_true(same_path(plain->cwd, same->cwd) && !same_path(plain->cwd, odd->cwd));
}

static void test_records(void **state)
{
	struct session *s = *state;
	task_record_vec v = {0};
	pid_t pids[N_CHILDREN];
	int program = task_records_open();
	if (program < 0) {
		print_message("the kernel does not tell: %s\n", strerror(-program));
		skip();
	}
	for (int i = 0; i < N_CHILDREN; i++)
		pids[i] = start_child(i);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(task_records_read(&s->arena, program, &v), 0);
		assert_int_equal(v.n, N_CHILDREN);
		check_records(s, &v, pids);
	}
	close(program);
	for (int i = 0; i < N_CHILDREN; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, __WALL);
	}
}

/* That members are of their types is all that keeps other kernels from being misread. */
static void test_types(void **state)
{
	(void)state;
	_cleanup_(kernel_btf_free) struct kernel_btf b = {0};
	if (!kernel_btf_get(&b))
		skip();
	assert_true(btf_find_pointer_to(b.text, b.len, "task_struct", "mm", "mm_struct") > 0);
	assert_int_equal(btf_find_pointer_to(b.text, b.len, "task_struct", "mm", "file"), -1);
	assert_int_equal(btf_find_pointer_to(b.text, b.len, "task_struct", "tgid", "file"), -1);
	assert_true(btf_find_sized(b.text, b.len, "task_struct", "tgid", 4) > 0);
	assert_int_equal(btf_find_sized(b.text, b.len, "task_struct", "tgid", 8), -1);
	assert_true(btf_find_sized(b.text, b.len, "task_struct", "mm", 8) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(test_records),
		cmocka_unit_test(test_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
