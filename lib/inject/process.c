/*
 * Handles: seizing a process, the agent's way in and out, and letting go.
 *
 * The engine puts its channels on the robust list of this thread, which usually is the C library's,
 * for its mutexes; that is put back when the last agent is out.
 */
#include "internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "engine/remote.h"
#include "engine/seize.h"
#include "kernel/proc_maps.h"
#include "kernel/proc_tasks.h"
#include "kernel/syscalls.h"

static _Thread_local struct {
	struct robust_list_head *head;
	size_t len;
	unsigned n_inside;
} robust_before;

static void lend_robust_list(void)
{
	if (!robust_before.n_inside++)
		syscall(SYS_get_robust_list, 0, &robust_before.head, &robust_before.len);
}

static void give_back_robust_list(void)
{
	if (!--robust_before.n_inside)
		syscall(SYS_set_robust_list, robust_before.head, robust_before.len);
}

/* --- failures --- */

void inject_session_init(struct session *s)
{
	session_init(s);
	s->log.level = LOG_MESSAGE - 1;
}

int inject_report(struct fermata_inject *t, struct session *s, int r)
{
	/* a program has its own session, but not every failure is the program's */
	const struct failure *f = s->failure.err ? &s->failure : &t->s.failure;
	if (r < 0 && f->err)
		snprintf(t->error, sizeof(t->error), "%s: %s", f->message, strerror(f->err));
	else if (r < 0)
		snprintf(t->error, sizeof(t->error), "%s", strerror(-r));
	s->failure = t->s.failure = (struct failure){0};
	return r;
}

int inject_fail(struct fermata_inject *t, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(t->error, sizeof(t->error), fmt, ap);
	va_end(ap);
	return -err;
}

const char *fermata_inject_error(const struct fermata_inject *t)
{
	return t->error;
}

/* --- handles --- */

struct fermata_inject *fermata_inject_new(void)
{
	struct fermata_inject *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->pidfd = t->mem = -1;
	inject_session_init(&t->s);
	return t;
}

void fermata_inject_free(struct fermata_inject *t)
{
	if (!t)
		return;
	if (t->task)
		fermata_inject_cure(t);
	session_release(&t->s);
	free(t);
}

int inject_need_task(struct fermata_inject *t)
{
	t->error[0] = 0;
	return t->task ? 0 : inject_fail(t, ESRCH, "no process is seized");
}

/* --- stopping --- */

struct thread *inject_find_thread(const struct fermata_inject *t, pid_t tid)
{
	vec_for_each (&t->task->threads, th)
		if ((*th)->tid == tid)
			return *th;
	return NULL;
}

/* What the engine wants to know of a thread that has just been stopped. */
static int read_thread(struct session *s, struct thread *th)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP;
	int r = proc_status_read_tid(s, th->task->pid, th->tid, &th->status);
	if (r < 0)
		return fail(s, r, "pid %d: read its status", th->tid);
	th->vtid = th->status.n_nspid ? th->status.nspid[th->status.n_nspid - 1] : th->tid;
	if (ptrace(PTRACE_GETSIGMASK, th->tid, sizeof(th->sigmask), &th->sigmask) < 0)
		return fail(s, errno, "pid %d: read its signal mask", th->tid);
	r = arch_get_gp(th->tid, &th->regs.gp);
	if (r >= 0)
		r = arch_get_xstate(s, th->tid, &th->regs);
	if (r < 0)
		return fail(s, r,
			r == -ENOEXEC ? "pid %d runs 32-bit code" : "pid %d: read registers",
			th->tid);
	if (th->status.seccomp && ptrace(PTRACE_SETOPTIONS, th->tid, NULL, (void *)options) < 0)
		return fail(s, errno, "pid %d: suspend its seccomp filters", th->tid);
	return 0;
}

/* 1: it is stopped now; 0: it is gone. */
static int seize_one(struct fermata_inject *t, pid_t tid)
{
	int signo = 0;
	int r = seize_thread(&t->s, tid, 0, &signo);
	if (r < 0 || r == SEIZED_GONE || r == SEIZED_ZOMBIE)
		return r < 0 ? r : 0;
	struct thread *th = arena_new(&t->s.arena, struct thread);
	*vec_push(&t->s.arena, &t->task->threads) = th;
	th->task = t->task;
	th->tid = tid;
	th->seized = true;
	if (r == SEIZED_STOPPED && tid == t->task->pid) {
		t->task->state = TASK_STOPPED;
		t->task->stop_signo = signo;
	}
	r = read_thread(&t->s, th);
	return r < 0 ? r : 1;
}

/* Until the list brings nothing new: only what runs can make threads. */
static int seize_threads(struct fermata_inject *t)
{
	int n_new = seize_one(t, t->task->pid);
	if (n_new == 0)
		return fail(&t->s, ESRCH, "there is no live process %d", t->task->pid);
	while (n_new > 0) {
		pid_vec tids = {0};
		int r = proc_list_tids(&t->s, t->task->pid, &tids);
		if (r < 0)
			return fail(&t->s, r, "pid %d: list its threads", t->task->pid);
		n_new = 0;
		for (size_t i = 0; i < tids.n && r >= 0; i++) {
			if (inject_find_thread(t, tids.v[i]) || proc_is_io_worker(&t->s, tids.v[i]))
				continue;
			r = seize_one(t, tids.v[i]);
			n_new += r > 0;
		}
		if (r < 0)
			return r;
	}
	return n_new;
}

static int open_task(struct fermata_inject *t)
{
	struct task *task = t->task;
	task->vpid = leader(task)->vtid;
	t->pidfd = sys_pidfd_open(task->pid, 0);
	if (t->pidfd < 0)
		return fail(&t->s, t->pidfd, "pid %d: open a descriptor of it", task->pid);
	t->mem = remote_open(task->pid);
	if (t->mem < 0)
		return fail(&t->s, t->mem, "pid %d: open its memory", task->pid);
	t->tids = arena_array(&t->s.arena, pid_t, task->threads.n);
	for (size_t i = 0; i < task->threads.n; i++)
		t->tids[i] = task->threads.v[i]->tid;
	return 0;
}

static void let_go(struct fermata_inject *t)
{
	struct task *task = t->task;
	if (visit_owes_stop(&t->s, task))
		kill(task->pid, SIGSTOP); /* was held back while the agent was in */
	vec_for_each (&task->threads, th)
		ptrace(PTRACE_DETACH, (*th)->tid, NULL, NULL);
	cleanup_close(&t->pidfd);
	cleanup_close(&t->mem);
	t->pidfd = t->mem = -1;
	t->task = NULL;
}

int fermata_inject_seize(struct fermata_inject *t, pid_t pid)
{
	t->error[0] = 0;
	if (t->task)
		return inject_fail(t, EBUSY, "pid %d is seized already", t->task->pid);
	arena_release(&t->s.arena);
	t->s.arena = (struct arena){0};
	t->task = arena_new(&t->s.arena, struct task);
	*t->task = (struct task){.tree = &t->tree, .state = TASK_ALIVE, .pid = pid};
	program_init(&t->call, &t->s, arena_printf(&t->s.arena, "pid %d", pid));
	int r = seize_threads(t);
	if (r >= 0)
		r = open_task(t);
	if (r < 0)
		let_go(t);
	return inject_report(t, &t->s, r);
}

size_t fermata_inject_threads(const struct fermata_inject *t, const pid_t **ret_tids)
{
	if (!t->task)
		return 0;
	*ret_tids = t->tids;
	return t->task->threads.n;
}

/* --- in and out --- */

int fermata_inject_enter(struct fermata_inject *t, size_t room)
{
	int r = inject_need_task(t);
	if (r < 0)
		return r;
	if (t->visit)
		return inject_fail(t, EBUSY, "pid %d: the agent is inside already", t->task->pid);
	vma_info_vec vmas = {0};
	uint64_t vdso = 0, vdso_len = 0;
	r = proc_maps_read(&t->s, t->task->pid, &vmas);
	vec_for_each (&vmas, v)
		if (!strcmp(v->name, "[vdso]")) {
			vdso = v->start;
			vdso_len = v->end - v->start;
		}
	room = (room + ARCH_PAGE_SIZE - 1) & ~(size_t)(ARCH_PAGE_SIZE - 1);
	lend_robust_list();
	t->entered = true;
	if (r >= 0)
		r = visit_begin_with_room(&t->s, t->task, vdso, vdso_len, room, &t->visit);
	t->broken = false;
	t->room_used = 0;
	t->stack_end = 0;
	if (r >= 0) {
		t->room = visit_room(t->visit, &t->room_addr, &t->room_len);
		return 0;
	}
	inject_report(t, &t->s, r);
	char why[sizeof(t->error)];
	memcpy(why, t->error, sizeof(why));
	fermata_inject_leave(t);
	memcpy(t->error, why, sizeof(why));
	return r;
}

int fermata_inject_leave(struct fermata_inject *t)
{
	int r = inject_need_task(t);
	if (r < 0 || !t->entered)
		return r;
	if (t->visit)
		r = visit_end(t->visit);
	t->visit = NULL;
	t->entered = false;
	give_back_robust_list();
	return inject_report(t, &t->s, r);
}

int fermata_inject_cure(struct fermata_inject *t)
{
	int r = inject_need_task(t);
	if (r < 0)
		return r;
	r = fermata_inject_leave(t);
	let_go(t);
	return r;
}

int inject_need_agent(struct fermata_inject *t)
{
	int r = inject_need_task(t);
	if (r >= 0 && !t->visit)
		r = fermata_inject_enter(t, INJECT_DEFAULT_ROOM);
	if (r >= 0 && t->broken)
		r = inject_fail(t, EFAULT, "pid %d: the agent stopped at a failure", t->task->pid);
	return r;
}
