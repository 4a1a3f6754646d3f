/*
 * Every aspect there and back: a subject sets something up, is dumped by a visit of the real
 * engine, its plan is played by a fresh process on itself, and a second dump must say the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#undef fail /* the session.h one is meant */

#include "arch/arch.h"
#include "base/session.h"
#include "engine/inject.h"
#include "engine/seize.h"
#include "image/dir.h"
#include "kernel/proc_tasks.h"
#include "kernel/syscalls.h"
#include "task/landlock.h"
#include "task/aspect.h"
#include "task/extras.h"
#include "task/seccomp.h"

#define give_up(...) (print_error(__VA_ARGS__), assert_true(false))

/* Text that both processes can write: the first thing that went wrong. */
static char *trouble;

static void need_(int ok, const char *what)
{
	if (ok)
		return;
	snprintf(trouble, 256, "%s (%s)", what, strerror(errno));
	_exit(1);
}
#define need(x) need_((x), #x)

/* Plays a program on the calling thread: addresses are our own. */
static int play_here(struct program *p)
{
	for (size_t i = 0; i < p->relocs.n; i++) {
		const struct reloc *r = &p->relocs.v[i];
		uint64_t target = (uint64_t)(uintptr_t)p->blocks.v[r->target].host;
		memcpy((char *)p->blocks.v[r->block].host + r->offset, &target, sizeof(target));
	}
	for (size_t i = 0; i < p->steps.n; i++) {
		struct step *st = &p->steps.v[i];
		long a[6];
		for (int k = 0; k < 6; k++)
			a[k] = st->arg[k].kind == ARG_RESULT ? p->steps.v[st->arg[k].index].result :
				st->arg[k].kind == ARG_BLOCK
				? (long)(uintptr_t)p->blocks.v[st->arg[k].index].host + (long)st->arg[k].value
				: (long)st->arg[k].value;
		long r = syscall(st->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		st->result = r == -1 && errno ? -errno : r;
		errno = 0;
		bool wrong = st->flags & 1 << 7 ? st->result != st->expect
						: st->result < 0 && !(st->flags & 1 << 6);
		if (wrong) {
			snprintf(trouble, 256, "step %s %s: %s", st->what, st->object ? st->object : "",
				strerror(st->result < 0 ? (int)-st->result : 0));
			return -1;
		}
	}
	return 0;
}

struct world {
	struct session s;
	struct tree tree;
	struct task *task;
	struct thread *t;
};

static void world_init(struct world *w, pid_t pid)
{
	memset(w, 0, sizeof(*w));
	session_init(&w->s);
	w->s.log.level = LOG_ERROR;
	landlock_prepare(&w->s, &w->tree);
	w->task = task_new(&w->s, &w->tree, NULL, pid);
	w->t = thread_new(&w->s, w->task, pid);
}

static void vdso_of(pid_t pid, uint64_t *ret_start, uint64_t *ret_len)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FILE *f = fopen(path, "r");
	*ret_start = *ret_len = 0;
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long a, b;
		if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", &a, &b) == 2) {
			*ret_start = a;
			*ret_len = b - a;
		}
	}
	if (f)
		fclose(f);
}

static int read_thread(struct session *s, struct thread *t)
{
	int signo;
	if (seize_thread(s, t->tid, 0, &signo) != SEIZED_RUNNING)
		return -1;
	if (proc_status_read_tid(s, t->task->pid, t->tid, &t->status) < 0)
		return -2;
	if (t->status.seccomp)
		ptrace(PTRACE_SETOPTIONS, t->tid, 0,
			PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP);
	if (arch_get_gp(t->tid, &t->regs.gp) < 0 || arch_get_xstate(s, t->tid, &t->regs) < 0 ||
		ptrace(PTRACE_GETSIGMASK, t->tid, 8, &t->sigmask) < 0)
		return -3;
	return 0;
}

enum { MAX_THREADS = 4 };

/* The order of calls is that of src/dump/collect_task.c. */
static int dump(struct world *w)
{
	struct session *s = &w->s;
	struct aspect_states states[MAX_THREADS] = {0};
	struct visit *v = NULL;
	uint64_t vdso, vdso_len;
	pid_vec tids = {0};
	proc_list_tids(s, w->task->pid, &tids);
	for (size_t i = 1; i < tids.n; i++)
		thread_new(s, w->task, tids.v[i]);
	int r = proc_stat_read(s, w->task->pid, &w->task->stat);
	for (size_t i = 0; i < tids.n && r >= 0; i++)
		r = read_thread(s, w->task->threads.v[i]);
	for (size_t i = 0; i < tids.n && r >= 0; i++) {
		struct thread *t = w->task->threads.v[i];
		r = aspects_read(s, t, &states[i]);
		if (r >= 0)
			r = aspects_inspect(s, t, &states[i]);
		if (r >= 0)
			r = arch_core_store(s, t->core, t->tid, &t->regs);
	}
	vdso_of(w->task->pid, &vdso, &vdso_len);
	if (r < 0 || visit_begin(s, w->task, vdso, vdso_len, &v) < 0)
		return r < 0 ? r : -6;
	for (size_t i = 0; i < tids.n && r >= 0; i++) {
		struct thread *t = w->task->threads.v[i];
		program_init(&t->program, s, "subject");
		r = aspects_collect(s, t, &t->program, &states[i]);
		if (r >= 0)
			r = i ? visit_send(v, &t, &t->program, 1) : visit_play(v, &t->program);
		if (r >= 0 && i)
			r = visit_fetch(v);
		if (r >= 0)
			r = aspects_store(s, t, &t->program, &states[i]);
	}
	seccomp_collect(s, &w->tree);
	landlock_dismiss(&w->tree);
	return visit_end(v) < 0 || r < 0 ? -7 : 0;
}

static void dump_or_explain(struct world *w)
{
	int r = dump(w);
	if (r < 0)
		give_up("dump: %d %s\n", r, w->s.failure.message ? w->s.failure.message : "");
}

static int ready[2];

/* Runs setup in a child, which then waits to be dumped. */
static pid_t spawn(void (*setup)(void *), void *arg)
{
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		setup(arg);
		need(write(ready[1], "", 1) == 1);
		for (;;)
			pause();
	}
	char byte;
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		kill(pid, SIGKILL);
		give_up("%s\n", trouble);
	}
	close(ready[0]);
	return pid;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	/* Its other threads, traced by us as well, go first. */
	while (waitpid(-1, NULL, __WALL) >= 0)
		;
}

/* In the stub-to-be: checks and plans as the controller would, and plays it on itself. */
static void become(void *arg)
{
	struct world *from = arg, w;
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGTRAP);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* libc's own rseq goes, as in a stub */
	syscall(SYS_rseq, from->t->core->thread_core->rseq_entry->rseq_abi_pointer, 32, 1, 0x53053053);
	world_init(&w, getpid());
	w.tree.seccomp = from->tree.seccomp;
	w.t->core = from->t->core;
	w.t->extras = from->t->extras;
	w.task->mm = from->task->mm;
	program_init(&w.t->program, &w.s, "stub");
	if (aspects_check(&w.s, w.t) < 0 || aspects_plan(&w.s, w.t, &w.t->program) < 0) {
		snprintf(trouble, 256, "plan: %s", w.s.failure.message);
		_exit(1);
	}
	errno = 0;
	if (play_here(&w.t->program) < 0)
		_exit(1);
	/* Nobody suspends seccomp here: filters of these tests allow what is still to do. */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &w.t->sigmask, NULL, 8);
}

static struct world before, after;

/* Packs both cores without what depends on the moment or the number of the process. */
static void same_core(struct world *restored)
{
	CoreEntry *a = before.t->core, *b = restored->t->core;
	b->thread_info = a->thread_info;
	b->tc->flags = a->tc->flags;
	uint8_t x[16384], y[16384];
	size_t n = core_entry__pack(a, x);
	assert_int_equal(core_entry__get_packed_size(a), core_entry__get_packed_size(b));
	core_entry__pack(b, y);
	assert_memory_equal(x, y, n);
}

static void round_trip(void (*setup)(void *))
{
	*trouble = 0;
	pid_t subject = spawn(setup, NULL);
	world_init(&before, subject);
	dump_or_explain(&before);
	reap(subject);
	assert_int_equal(before.s.blockers.n, 0);
	pid_t stub = spawn(become, &before);
	world_init(&after, stub);
	dump_or_explain(&after);
	reap(stub);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void test_plain(void **state)
{
	(void)state;
	round_trip(nothing);
	same_core(&after);
	assert_int_equal(before.task->mm->dumpable, after.task->mm->dumpable);
	assert_int_equal(before.task->mm->thp_disabled, 0);
	assert_null(before.t->extras);
	assert_null(after.t->extras);
}

static void on_signal(int signo)
{
	(void)signo;
}

static void set_signals(void *arg)
{
	(void)arg;
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_NODEFER};
	sigaddset(&act.sa_mask, SIGUSR2);
	need(!sigaction(SIGUSR1, &act, NULL));
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		need(!sigaction(sig, &act, NULL));
	need(signal(SIGHUP, SIG_IGN) != SIG_ERR && signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	need(signal(SIGTRAP, SIG_IGN) != SIG_ERR);
	sigset_t some;
	sigemptyset(&some);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		sigaddset(&some, sig);
	sigaddset(&some, SIGHUP);
	sigaddset(&some, SIGUSR1);
	sigprocmask(SIG_SETMASK, &some, NULL);
	/* siginfo must not name the subject's own pid, or the dumps would differ */
	siginfo_t info = {.si_code = SI_QUEUE};
	info.si_pid = 77;
	for (int i = 0; i < 40; i++) {
		info.si_value.sival_int = i;
		need(!syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + 3, &info));
	}
	info.si_code = SI_TKILL;
	need(!syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &info));
	info.si_code = SI_KERNEL;
	need(!syscall(SYS_rt_sigqueueinfo, getpid(), SIGHUP, &info));
	stack_t ss = {.ss_sp = malloc(65536), .ss_size = 65536};
	need(!sigaltstack(&ss, NULL));
}

static void test_signals(void **state)
{
	(void)state;
	round_trip(set_signals);
	assert_int_equal(before.t->core->tc->signals_s->n_signals, 41);
	assert_int_equal(before.t->core->thread_core->signals_p->n_signals, 1);
	assert_int_equal(before.t->sigmask, after.t->sigmask);
	same_core(&after);
}

static void set_limits(void *arg)
{
	(void)arg;
	for (int i = 0; i < 16; i++) {
		struct rlimit r;
		need(!getrlimit((enum __rlimit_resource)i, &r));
		/* more than the address space of one that AddressSanitizer watches, 20 TB */
		r.rlim_cur = r.rlim_max = r.rlim_max == RLIM_INFINITY ? 1ul << 46 : r.rlim_max - r.rlim_max / 8;
		need(!setrlimit((enum __rlimit_resource)i, &r));
	}
	struct sched_param param = {0};
	need(!setpriority(PRIO_PROCESS, 0, 7));
	need(!sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &param));
	need(personality(ADDR_NO_RANDOMIZE) >= 0);
	need(!prctl(PR_SET_NAME, "limited \n\377"));
	need(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	need(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	need(!syscall(SYS_membarrier, 1 << 4, 0, 0) && !syscall(SYS_membarrier, 1 << 2, 0, 0));
}

static void test_limits(void **state)
{
	(void)state;
	round_trip(set_limits);
	assert_int_equal(before.t->core->tc->personality, 40000);
	assert_int_equal(before.t->core->tc->membarrier_registration_mask, 1 << 4 | 1 << 2);
	assert_int_equal(after.task->mm->thp_disabled, 1);
	same_core(&after);
}

static void set_extras(void *arg)
{
	(void)arg;
	need(!prctl(PR_SET_TIMERSLACK, 123456789));
	need(!syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6));
	need(!prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0));
	need(personality(ADDR_COMPAT_LAYOUT | ADDR_LIMIT_32BIT) >= 0);
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	need(!sched_setaffinity(0, sizeof(cpus), &cpus));
}

/* As the pipelines do it: into a file, and from it into other threads; but not from a stale one. */
static void through_image(void)
{
	char dir[] = "/tmp/test_aspect.XXXXXX", path[64];
	assert_non_null(mkdtemp(dir));
	struct session *s = &before.s;
	assert_int_equal(image_dir_open(s, dir, &s->images), 0);
	assert_int_equal(extras_write_image(s, before.task), 0);
	const FermataEntry *written = before.t->extras;
	before.t->extras = NULL;
	before.tree.run_id = "00000000-0000-0000-0000-000000000000";
	assert_int_equal(extras_load_image(s, before.task), 0);
	assert_null(before.t->extras);
	before.tree.run_id = s->run_id;
	assert_int_equal(extras_load_image(s, before.task), 0);
	assert_non_null(before.t->extras);
	assert_ptr_not_equal(before.t->extras, written);
	snprintf(path, sizeof(path), "%s/fermata-%d.img", dir, before.task->vpid);
	FermataEntry *kept = before.t->extras;
	before.t->extras = NULL;
	image_dir_close(s->images);
	assert_int_equal(image_dir_open(s, dir, &s->images), 0);
	assert_int_equal(extras_write_image(s, before.task), 0);
	assert_int_equal(access(path, F_OK), -1);
	before.t->extras = kept;
	image_dir_close(s->images);
	s->images = NULL;
	assert_int_equal(rmdir(dir), 0);
}

static void test_extras(void **state)
{
	(void)state;
	*trouble = 0;
	pid_t subject = spawn(set_extras, NULL);
	world_init(&before, subject);
	dump_or_explain(&before);
	reap(subject);
	through_image();
	pid_t stub = spawn(become, &before);
	world_init(&after, stub);
	dump_or_explain(&after);
	reap(stub);
	const FermataEntry *x = before.t->extras, *y = after.t->extras;
	assert_non_null(y);
	assert_int_equal(x->timer_slack_ns, 123456789);
	assert_int_equal(y->timer_slack_ns, 123456789);
	assert_int_equal(y->io_priority, 2 << 13 | 6);
	assert_true(y->has_mce_policy && y->mce_policy == PR_MCE_KILL_LATE);
	assert_int_equal(y->personality, ADDR_COMPAT_LAYOUT | ADDR_LIMIT_32BIT);
	assert_int_equal(x->n_cpus, y->n_cpus);
	same_core(&after);
}

static void set_realtime(void *arg)
{
	(void)arg;
	struct sched_param param = {.sched_priority = 3};
	need(!sched_setscheduler(0, SCHED_RR, &param));
	need(!prctl(PR_SET_PDEATHSIG, SIGUSR2));
}

static void test_realtime(void **state)
{
	(void)state;
	round_trip(set_realtime);
	assert_int_equal(after.t->core->thread_core->sched_prio, 3);
	assert_int_equal(after.t->core->thread_core->pdeath_sig, SIGUSR2);
	same_core(&after);
}

static void set_creds(void *arg)
{
	(void)arg;
	gid_t groups[] = {5, 6, 4000000};
	need(!setgroups(3, groups));
	need(!prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT) && !prctl(PR_CAPBSET_DROP, CAP_NET_RAW));
	need(!prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS));
	need(!setresgid(10, 11, 12) && !setresuid(20, 21, 22));
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {
		{.effective = 1u << CAP_KILL | 1u << CAP_SETUID | 1u << CAP_SETPCAP,
			.permitted = 1u << CAP_KILL | 1u << CAP_SETUID | 1u << CAP_SETPCAP |
				1u << CAP_NET_RAW,
			.inheritable = 1u << CAP_KILL | 1u << CAP_CHOWN}};
	need(!syscall(SYS_capset, &h, d));
	need(!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	need(!prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NOROOT));
	syscall(SYS_setfsuid, 22);
	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	need(!prctl(PR_SET_DUMPABLE, 1));
}

static void test_creds(void **state)
{
	(void)state;
	round_trip(set_creds);
	const CredsEntry *e = after.t->core->thread_core->creds;
	assert_int_equal(e->fsuid, 22);
	assert_int_equal(e->n_groups, 3);
	assert_int_equal(e->cap_amb[0], 1u << CAP_KILL);
	assert_int_equal(after.task->mm->dumpable, 1);
	same_core(&after);
}

static void set_nobody(void *arg)
{
	(void)arg;
	need(!setgroups(0, NULL) && !setresgid(65534, 65534, 65534) && !setresuid(65534, 65534, 65534));
}

static void test_nobody(void **state)
{
	(void)state;
	round_trip(set_nobody);
	assert_int_equal(before.task->mm->dumpable, after.task->mm->dumpable);
	same_core(&after);
}

static void set_timers(void *arg)
{
	(void)arg;
	timer_t id[4];
	struct itimerspec off = {{0}}, on = {.it_value = {500, 5}, .it_interval = {3, 7}};
	for (int i = 0; i < 4; i++) {
		struct sigevent ev = {.sigev_signo = SIGRTMIN + i, .sigev_notify = SIGEV_SIGNAL,
			.sigev_value.sival_int = 100 + i};
		need(!timer_create(i == 3 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_BOOTTIME, &ev, &id[i]));
	}
	need(!timer_delete(id[1]) && !timer_settime(id[2], 0, &on, NULL));
	need(!timer_settime(id[3], 0, &on, NULL) && !timer_settime(id[0], 0, &off, NULL));
	struct itimerval v = {.it_value = {900, 0}, .it_interval = {1, 2}};
	need(!setitimer(ITIMER_REAL, &v, NULL) && !setitimer(ITIMER_PROF, &v, NULL));
}

static void test_timers(void **state)
{
	(void)state;
	round_trip(set_timers);
	TaskTimersEntry *a = before.t->core->tc->timers, *b = after.t->core->tc->timers;
	assert_int_equal(a->n_posix, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(a->posix[i]->vsec - b->posix[i]->vsec <= 2);
	assert_int_equal(b->posix[1]->it_id, 2);
	assert_int_equal(b->posix[1]->isec, 3);
	assert_true(b->real->vsec > 890 && b->prof->vsec > 890);
	b->real = a->real;
	b->prof = a->prof;
	for (size_t i = 0; i < 3; i++) {
		b->posix[i]->vsec = a->posix[i]->vsec;
		b->posix[i]->vnsec = a->posix[i]->vnsec;
	}
	same_core(&after);
}

static void install(uint32_t errno_for_nr)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, errno_for_nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, code};
	need(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &prog));
}

static void set_filters(void *arg)
{
	(void)arg;
	install(SYS_mknod);
	install(SYS_chroot);
}

static void test_seccomp(void **state)
{
	(void)state;
	round_trip(set_filters);
	/* mode 2, oldest filter last in the table */
	assert_int_equal(before.t->core->thread_core->seccomp_mode, 2);
	assert_int_equal(before.t->core->thread_core->seccomp_filter, 1);
	same_core(&after);
}

static int second_filter_in_thread;
static int thread_ready[2];

static void *other_thread(void *unused)
{
	if (second_filter_in_thread)
		install(SYS_swapon);
	struct sigevent ev = {.sigev_signo = SIGRTMIN, .sigev_notify = SIGEV_THREAD_ID};
	ev._sigev_un._tid = gettid();
	timer_t id;
	need(!timer_create(CLOCK_MONOTONIC, &ev, &id));
	need(!prctl(PR_SET_NAME, "other"));
	need(write(thread_ready[1], "", 1) == 1);
	for (;;)
		pause();
	return unused;
}

static void set_threads(void *arg)
{
	(void)arg;
	pthread_t t;
	char byte;
	install(SYS_mknod);
	need(!pipe(thread_ready) && !pthread_create(&t, NULL, other_thread, NULL));
	need(read(thread_ready[0], &byte, 1) == 1);
}

static void dump_threads(bool differ)
{
	second_filter_in_thread = differ;
	*trouble = 0;
	pid_t subject = spawn(set_threads, NULL);
	world_init(&before, subject);
	dump_or_explain(&before);
	reap(subject);
	assert_int_equal(before.task->threads.n, 2);
}

/* Filters of the tree are numbered as in spec/images-process.md 5.10. */
static void test_threads(void **state)
{
	(void)state;
	dump_threads(false);
	const struct thread *other = before.task->threads.v[1];
	const PosixTimerEntry *timer = before.t->core->tc->timers->posix[0];
	assert_int_equal(before.t->core->thread_core->seccomp_mode, SECCOMP_MODE_FILTER);
	assert_int_equal(before.t->core->thread_core->seccomp_filter, 0);
	assert_false(other->core->thread_core->has_seccomp_mode);
	assert_string_equal(other->core->thread_core->comm, "other");
	assert_null(other->core->tc);
	assert_int_equal(timer->notify_thread_id, other->vtid);
	assert_int_equal(before.s.blockers.n, 0);

	dump_threads(true);
	other = before.task->threads.v[1];
	assert_int_equal(before.t->core->thread_core->seccomp_filter, 0);
	assert_int_equal(other->core->thread_core->seccomp_mode, SECCOMP_MODE_FILTER);
	assert_int_equal(other->core->thread_core->seccomp_filter, 2);
}

static int group_setup(void **state)
{
	(void)state;
	trouble = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return trouble == MAP_FAILED;
}

int main(void)
{
	/* whoever runs this may have another policy, under which there are no time slices */
	sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_extras),
		cmocka_unit_test(test_realtime),
		cmocka_unit_test(test_creds),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
