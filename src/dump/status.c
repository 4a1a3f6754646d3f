/*
 * What /proc/PID/status says of each thread that is stopped.
 *
 * Of a process with many threads one such file is read, the leader's, and the kernel's own records
 * of all (records.c).  The threads of a process have its memory, signal handlers and PID namespace;
 * one that also has the leader's very credentials, no seccomp and no shadow stack differs from it
 * by its own pending signals only, and these are in the record.  no_new_privs is asked for from
 * inside (task/creds.c).  Of every other thread its own file is read.
 */
#include <errno.h>
#include <sys/ptrace.h>

#include "dump/candidate.h"
#include "dump/dump_tree.h"

int dump_read_status(struct session *s, struct thread *th, pid_t pid)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP;
	int r = proc_status_read_tid(s, pid, th->tid, &th->status);
	if (r == -ENOENT || r == -ESRCH)
		return -ESRCH;
	if (r < 0)
		return fail(s, r, "pid %d: read its status", th->tid);
	if (th->status.n_nspid > 0)
		th->vtid = th->status.nspid[th->status.n_nspid - 1];
	if (th->status.seccomp && ptrace(PTRACE_SETOPTIONS, th->tid, NULL, (void *)options) < 0)
		return errno == ESRCH
			       ? -ESRCH
			       : fail(s, errno, "pid %d: suspend its seccomp filters", th->tid);
	return 0;
}

/* A leader as it is now, when all are stopped. */
struct model {
	const struct task *of;
	struct proc_status status;
	const struct task_record *record;
};

static struct model look_at_leader(struct dump *d, const struct task *t)
{
	struct model m = {.of = t};
	if (proc_status_read(d->s, t->pid, &m.status) >= 0 && m.status.n_nspid == 1)
		m.record = task_record_find(&d->records, t->pid);
	return m;
}

static bool differs_by_signals_only(const struct task_record *r, const struct model *m)
{
	return r && m->record && r->creds && r->creds == m->record->creds &&
	       r->sighand == m->record->sighand && r->mm == m->record->mm && !r->seccomp &&
	       (!m->status.tells_features || !r->shadow_stack);
}

static bool take_record(const struct dump *d, struct thread *th, const struct model *m)
{
	const struct task_record *r = task_record_find(&d->records, th->tid);
	if (!differs_by_signals_only(r, m))
		return false;
	th->status = m->status;
	th->status.pid = th->tid;
	th->status.sig_pnd = r->sig_pnd;
	th->status.seccomp = 0;
	th->status.shadow_stack = false;
	return true;
}

static int read_rest(struct session *s, void *arg, unsigned lane)
{
	int r = 0;
	vec_for_each ((candidate_vec *)arg, c) {
		if (r < 0 || c->lane != lane || !c->th || !c->no_status)
			continue;
		r = dump_read_status(s, c->th, c->task->pid);
		if (r == -ESRCH) {
			dump_let_go(c->tid);
			c->th = NULL;
			r = 0;
		}
	}
	return r;
}

int dump_read_statuses(struct dump *d, candidate_vec *candidates)
{
	struct model m = {0};
	bool told = dump_read_records(d);
	vec_for_each (candidates, c) {
		if (!told || !c->th || !c->no_status)
			continue;
		if (m.of != c->task)
			m = look_at_leader(d, c->task);
		c->no_status = !take_record(d, c->th, &m);
	}
	return lanes_run(d->s, read_rest, candidates);
}
