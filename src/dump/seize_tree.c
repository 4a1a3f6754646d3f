/*
 * Stopping a whole tree.
 *
 * Threads first, then children, depth-first.  A list is exact only once all that could add to it
 * are stopped, so each is read again until it brings nothing new; every round stops what made it
 * grow, so this ends (or the timeout does).  What dies meanwhile is skipped.
 */
#include "dump/dump_tree.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/time.h>

#include "base/share.h"
#include "cli/options.h"
#include "engine/seize.h"
#include "kernel/proc_misc.h"
#include "kernel/proc_tasks.h"
#include "kernel/syscalls.h"
#include "plugin/plugin.h"

/* Dying takes a child that is on no list any more, or a zombie, within a few. */
enum { VAIN_ROUNDS = 1000 };

struct seizing {
	struct dump *d;
	uint64_t deadline_us;
};

static void on_alarm(int signo)
{
	(void)signo; /* interrupts wait4() */
}

static void arm_timeout(struct seizing *z, uint32_t seconds)
{
	if (!seconds)
		return;
	z->deadline_us = now_us() + (uint64_t)seconds * 1000000;
	struct sigaction action = {.sa_handler = on_alarm};
	sigaction(SIGALRM, &action, NULL);
	struct itimerval again = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = seconds}};
	setitimer(ITIMER_REAL, &again, NULL);
}

static void disarm_timeout(void)
{
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
	signal(SIGALRM, SIG_DFL);
}

static struct thread *find_thread(const struct task *t, pid_t tid)
{
	vec_for_each(&t->threads, th)
		if ((*th)->tid == tid)
			return *th;
	return NULL;
}

static int read_registers(struct session *s, struct thread *th)
{
	if (ptrace(PTRACE_GETSIGMASK, th->tid, sizeof(th->sigmask), &th->sigmask) < 0)
		return fail(s, errno, "pid %d: read its signal mask", th->tid);
	int r = arch_get_gp(th->tid, &th->regs.gp);
	if (r == -ENOEXEC)
		return fail(s, EOPNOTSUPP, "pid %d runs 32-bit code, which is not supported yet", th->tid);
	if (r < 0)
		return fail(s, r, "pid %d: read registers", th->tid);
	return 0;
}

/* Of the i-th of an array of stopped threads. */
static int read_status(struct session *s, void *arg, size_t i)
{
	struct thread *const *threads = arg;
	struct thread *th = threads[i];
	int r = proc_status_read_tid(s, th->task->pid, th->tid, &th->status);
	if (r < 0)
		return fail(s, r, "pid %d: read its status", th->tid);
	if (th->status.n_nspid > 0)
		th->vtid = th->status.nspid[th->status.n_nspid - 1];
	return 0;
}

/* The threads from number `first` on have just been stopped. */
static int read_statuses(struct session *s, const struct task *t, size_t first)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP;
	int r = share_out(s, t->threads.n - first, read_status, &t->threads.v[first]);
	for (size_t i = first; i < t->threads.n && r >= 0; i++) {
		const struct thread *th = t->threads.v[i];
		if (th->status.seccomp &&
			ptrace(PTRACE_SETOPTIONS, th->tid, NULL, (void *)options) < 0)
			r = fail(s, errno, "pid %d: suspend its seccomp filters", th->tid);
	}
	return r;
}

/* A thread that was asked to stop. begun: what seize_begin() said. */
struct begun {
	pid_t tid;
	int begun;
};
typedef VEC(struct begun) begun_vec;

static int begin_all(struct session *s, const pid_vec *tids, begun_vec *ret)
{
	vec_for_each(tids, tid) {
		int r = seize_begin(s, *tid);
		if (r < 0)
			return r;
		*vec_push(&s->arena, ret) = (struct begun){*tid, r};
	}
	return 0;
}

/* Returns 1 when a thread was added, 0 when it is gone. */
static int seize_one(struct seizing *z, struct task *t, struct begun b)
{
	struct session *s = z->d->s;
	int signo = 0, r = b.begun;
	if (r == SEIZED_RUNNING)
		r = seize_wait(s, b.tid, z->deadline_us, &signo);
	if (r < 0)
		return r;
	if (r == SEIZED_GONE || (r == SEIZED_ZOMBIE && b.tid != t->pid))
		return 0;
	struct thread *th = thread_new(s, t, b.tid);
	if (r == SEIZED_ZOMBIE) {
		t->state = TASK_DEAD;
		return 1;
	}
	th->seized = true;
	if (r == SEIZED_STOPPED && b.tid == t->pid) {
		t->state = TASK_STOPPED;
		t->stop_signo = signo;
	}
	r = read_registers(s, th);
	return r < 0 ? r : 1;
}

/* What the list has beyond the threads that are known: usually nothing, or all of it. */
static void new_threads(struct session *s, const struct task *t, const pid_vec *tids, pid_vec *ret)
{
	for (size_t i = 0; i < tids->n; i++) {
		bool same_place = i < t->threads.n && t->threads.v[i]->tid == tids->v[i];
		if (!same_place && !find_thread(t, tids->v[i]) &&
			!proc_is_io_worker(s, tids->v[i]))
			*vec_push(&s->arena, ret) = tids->v[i];
	}
}

/* The last one's status was read when all known ones were stopped: could any other have been born? */
static bool knows_all_threads(const struct task *t)
{
	return t->threads.n && t->threads.v[t->threads.n - 1]->status.threads == (int)t->threads.n;
}

static int seize_threads(struct seizing *z, struct task *t)
{
	struct session *s = z->d->s;
	while (!knows_all_threads(t)) {
		pid_vec tids = {0}, fresh = {0};
		begun_vec begun = {0};
		int r = proc_list_tids(s, t->pid, &tids);
		if (r < 0)
			return fail(s, r, "pid %d: list its threads", t->pid);
		new_threads(s, t, &tids, &fresh);
		if (!fresh.n)
			return 0;
		size_t known = t->threads.n;
		r = begin_all(s, &fresh, &begun);
		for (size_t i = 0; i < begun.n && r >= 0; i++)
			r = seize_one(z, t, begun.v[i]);
		if (r >= 0)
			r = read_statuses(s, t, known);
		if (r < 0)
			return r;
	}
	return 0;
}

static int seize_task(struct seizing *z, struct task *parent, struct begun b);

static int refuse_own_tree(struct session *s, const pid_vec *pids)
{
	vec_for_each(pids, pid)
		if (*pid == getpid())
			return fail_remedy(s, EINVAL, "run it from outside of that tree",
				"the tree to dump contains this tool itself (pid %d)", *pid);
	return 0;
}

/* While they still run. */
static int pause_devices(struct session *s, const pid_vec *pids)
{
	int r = 0;
	for (size_t i = 0; i < pids->n && r >= 0; i++)
		r = plugins_tell(s, CR_PLUGIN_HOOK__PAUSE_DEVICES, pids->v[i]);
	return r;
}

static bool is_child(const struct task *t, pid_t pid)
{
	vec_for_each(&t->children, c)
		if ((*c)->pid == pid)
			return true;
	return false;
}

static void new_children(struct session *s, const struct task *t, const pid_vec *pids, pid_vec *ret)
{
	for (size_t i = 0; i < pids->n; i++) {
		bool same_place = i < t->children.n && t->children.v[i]->pid == pids->v[i];
		if (!same_place && !is_child(t, pids->v[i]))
			*vec_push(&s->arena, ret) = pids->v[i];
	}
}

/* The children of the first n_threads threads; of a zombie, not all threads are known. */
static int list_children(struct session *s, const struct task *t, size_t n_threads, pid_vec *ret)
{
	if (!task_lives(t))
		return proc_list_children(s, t->pid, ret);
	pid_vec tids = {0};
	for (size_t i = 0; i < n_threads; i++)
		*vec_push(&s->arena, &tids) = t->threads.v[i]->tid;
	return proc_list_children_of(s, t->pid, &tids, ret);
}

/*
 * Until the list brings nothing new.  Who dies between being seized and its stop leaves the list, or
 * is there again as a zombie, which its parent has still to wait for.
 */
static int seize_children(struct seizing *z, struct task *t, size_t n_threads)
{
	struct session *s = z->d->s;
	for (int vain_rounds = 0; vain_rounds < VAIN_ROUNDS;) {
		pid_vec pids = {0}, fresh = {0};
		begun_vec begun = {0};
		int added = 0;
		int r = list_children(s, t, n_threads, &pids);
		if (r < 0)
			return fail(s, r, "pid %d: list its children", t->pid);
		new_children(s, t, &pids, &fresh);
		if (!fresh.n)
			return 0;
		r = refuse_own_tree(s, &fresh);
		if (r >= 0)
			r = pause_devices(s, &fresh);
		if (r >= 0)
			r = begin_all(s, &fresh, &begun);
		for (size_t i = 0; i < begun.n && r >= 0; i++) {
			r = seize_task(z, t, begun.v[i]);
			added += r > 0;
		}
		if (r < 0)
			return r;
		vain_rounds = added ? 0 : vain_rounds + 1;
	}
	return fail(s, EAGAIN, "pid %d: a child of it is neither alive nor dead", t->pid);
}

static int forget_task(struct dump *d, struct task *t)
{
	d->tree.tasks.n--;
	if (t->parent)
		t->parent->children.n--;
	return 0;
}

/* Returns 1 when the task was added. */
static int seize_task(struct seizing *z, struct task *parent, struct begun b)
{
	struct session *s = z->d->s;
	pid_t pid = b.tid;
	struct task *t = task_new(s, &z->d->tree, parent, pid);
	int r = seize_one(z, t, b);
	if (r <= 0)
		return r < 0 ? r : forget_task(z->d, t);
	r = task_lives(t) ? read_statuses(s, t, 0) : 0;
	if (r < 0)
		return r;
	r = proc_stat_read(s, pid, &t->stat);
	if (r < 0)
		return fail(s, r, "pid %d: read its state", pid);
	if (parent && t->stat.ppid != parent->pid)
		return fail(s, EAGAIN, "pid %d was reused while the tree was being stopped", pid);
	t->pgid = t->stat.pgid;
	t->sid = t->stat.sid;
	t->vpid = leader(t)->vtid;
	if (t->state != TASK_DEAD) {
		r = seize_threads(z, t);
		if (r < 0)
			return r;
	}
	r = seize_children(z, t, t->threads.n);
	return r < 0 ? r : 1;
}

static void check_task(struct session *s, const struct task *t)
{
	if (t->state == TASK_DEAD && t->children.n)
		block(s, t->pid, NULL, "is a zombie that still has children");
	if (t->state == TASK_DEAD && t->stat.num_threads > 1)
		block(s, t->pid, NULL, "its main thread has exited while other threads go on");
	if (t->sid == 0)
		block(s, t->pid, NULL, "its session belongs to another PID namespace");
	if (t->state != TASK_DEAD && leader(t)->status.n_nspid > 1)
		block(s, t->pid, NULL, "lives in a PID namespace of its own, which is not supported yet");
}

static void check_root(struct session *s, const struct task *root)
{
	if (root->state == TASK_DEAD)
		block(s, root->pid, NULL, "is a zombie: nothing is left to dump");
	else if (root->sid != root->pid && !s->opt->shell_job)
		block(s, root->pid, "use --shell-job",
			"is not a session leader (its session is %d)", root->sid);
}

static int seize_root(struct seizing *z)
{
	struct session *s = z->d->s;
	pid_t pid = s->opt->tree;
	struct proc_stat stat;
	int r = proc_stat_read(s, pid, &stat);
	if (r == -ENOENT || r == -ESRCH)
		return fail(s, ESRCH, "there is no process with PID %d", pid);
	if (r < 0)
		return fail(s, r, "pid %d: read its state", pid);
	if (proc_kthread(s, pid) == 1)
		return fail(s, EINVAL, "pid %d (%s) is a kernel thread", pid, stat.comm);
	struct proc_status status;
	if (proc_status_read(s, pid, &status) >= 0 && status.tgid != pid)
		return fail_remedy(s, EINVAL, arena_printf(&s->arena, "use -t %d", status.tgid),
			"%d is a thread of process %d", pid, status.tgid);
	r = refuse_own_tree(s, &(pid_vec){.v = &pid, .n = 1});
	if (r >= 0)
		r = pause_devices(s, &(pid_vec){.v = &pid, .n = 1});
	if (r >= 0)
		r = seize_begin(s, pid);
	if (r >= 0)
		r = seize_task(z, NULL, (struct begun){pid, r});
	if (r == 0)
		return fail(s, ESRCH, "pid %d died before it could be stopped", pid);
	return r < 0 ? r : 0;
}

/* Only who has descendants can be left their orphans; or the init of a PID namespace. */
static bool may_adopt(const struct task *t)
{
	return t->children.n || t->vpid == 1;
}

int dump_seize_tree(struct dump *d)
{
	struct session *s = d->s;
	struct seizing z = {.d = d};
	arm_timeout(&z, s->opt->timeout);
	int r = seize_root(&z);
	/* Late births: orphans that a subreaper of the tree adopted meanwhile; the kernel gives them
	 * to the leader. */
	for (size_t before = 1; r >= 0 && before != d->tree.tasks.n;) {
		before = d->tree.tasks.n;
		for (size_t i = 0; i < d->tree.tasks.n && r >= 0; i++)
			if (may_adopt(d->tree.tasks.v[i]))
				r = seize_children(&z, d->tree.tasks.v[i], 1);
	}
	disarm_timeout();
	if (r < 0)
		return r;
	check_root(s, d->tree.root);
	vec_for_each(&d->tree.tasks, t)
		check_task(s, *t);
	d->stopped_us = now_us();
	s->stats.freezing_us = (uint32_t)(d->stopped_us - d->start_us);
	log_info(s, "Stopped %zu tasks in %u us", d->tree.tasks.n, s->stats.freezing_us);
	return 0;
}
