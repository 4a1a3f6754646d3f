/*
 * The end of a restore: every stub becomes the task it stood for, then all are let go at once.
 *
 * Until the first is let go, a failure kills them all; from then on there is no way back.
 */
#include "restore/restore_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/hook.h"
#include "cli/options.h"
#include "engine/explain.h"
#include "engine/pact.h"
#include "engine/seize.h"
#include "ipc/ipc.h"
#include "plugin/plugin.h"

enum {
	LEFT_OUT = 3, /* of the image's list of actions: signal 0, SIGKILL and SIGSTOP */
};

static int begin_become(struct restore *re, struct task *t)
{
	uint64_t syscall_ip;
	int r = mem_find_syscall(&re->stubs, t, &syscall_ip);
	return r < 0 ? r : stub_begin_become(&re->stubs, t, syscall_ip);
}

static int end_become(struct restore *re, struct task *t)
{
	return stub_end_become(&re->stubs, t);
}

static int rest(struct restore *re, struct task *t)
{
	int r = stub_rest(&re->stubs, t);
	for (size_t i = 0; i < t->threads.n && r >= 0 && !re->stubs.explain; i++)
		r = aspects_settle(re->s, t->threads.v[i]);
	return r;
}

static int write_pidfile(struct restore *re)
{
	struct session *s = re->s;
	const char *path = s->opt->pidfile;
	if (!path)
		return 0;
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", re->tree.root->pid);
	if (fd < 0 || write(fd, text, (size_t)len) != len)
		return fail(s, errno, "write the PID to %s", path);
	return 0;
}

/* The last that can be refused: all is restored, nothing runs. */
static int announce(struct restore *re)
{
	re->s->root_pid = re->tree.root->pid;
	int r = write_pidfile(re);
	if (r < 0)
		return r;
	r = hook_run(re->s, HOOK_POST_RESTORE);
	if (r < 0 && re->s->opt->pidfile)
		unlink(re->s->opt->pidfile);
	return r;
}

static bool is_of_job_control(uint32_t signo)
{
	return signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}

/*
 * The kernel ignores these signals in an orphaned group: they are only sent where a parent in the
 * tree cares. A task that blocks or catches it was stopped before it did.
 */
static bool takes_stop(const struct task *t, uint32_t signo)
{
	const TaskCoreEntry *tc = leader(t)->core->tc;
	if (!is_of_job_control(signo) || signo - LEFT_OUT >= tc->n_sigactions ||
		tc->sigactions[signo - LEFT_OUT]->sigaction ||
		leader(t)->sigmask >> (signo - 1) & 1)
		return false;
	return t->parent && task_lives(t->parent) && t->parent->sid == t->sid &&
	       t->parent->pgid != t->pgid;
}

static bool shall_stop(const struct restore *re, const struct task *t)
{
	return task_lives(t) && (t->state == TASK_STOPPED || re->s->opt->leave_stopped);
}

static void stop(const struct task *t)
{
	const TaskCoreEntry *tc = leader(t)->core->tc;
	bool same = tc->has_stop_signo && takes_stop(t, tc->stop_signo);
	kill(t->pid, same ? (int)tc->stop_signo : SIGSTOP);
}

static void await_stops(struct restore *re)
{
	uint64_t deadline_us = seize_stop_deadline();
	vec_for_each (&re->tree.tasks, t)
		if (shall_stop(re, *t))
			seize_await_group_stop(re->s, *t, deadline_us);
}

/* Too late to refuse. */
static int resume_devices(struct restore *re, struct task *t)
{
	struct session *s = re->s;
	if (plugins_tell(s, CR_PLUGIN_HOOK__RESUME_DEVICES_LATE, t->pid) < 0) {
		log_warn(s, "%s", s->failure.message);
		s->failure = (struct failure){0};
	}
	return 0;
}

/* The point of no return: from here on the tasks outlive the controller. */
static void commit(struct restore *re)
{
	struct pact pact;
	pact_begin(re->s, &pact, &re->tree);
	vec_for_each (&re->tree.tasks, t)
		vec_for_each (&(*t)->threads, th)
			if (task_lives(*t))
				ptrace(PTRACE_SETOPTIONS, (*th)->tid, NULL, NULL);
	pact_end(&pact);
}

static void let_go(const struct task *t)
{
	vec_for_each (&t->threads, th)
		ptrace(PTRACE_DETACH, (*th)->tid, NULL, NULL);
}

/* What is left to do once the tasks are complete. */
static int explain_release(struct restore *re)
{
	const struct session *s = re->s;
	if (s->opt->pidfile)
		explain_act("write the PID %d to %s", re->tree.root->vpid, s->opt->pidfile);
	vec_for_each (&re->tree.tasks, t)
		if (shall_stop(re, *t))
			explain_act("stop %d", (*t)->vpid);
	explain_act("commit: the tasks shall outlive the controller");
	file_explain_links(re->files);
	vec_for_each (&re->tree.tasks, t)
		if (task_lives(*t))
			explain_act("detach from %d: it runs", (*t)->vpid);
	return 0;
}

int restore_take_over(struct restore *re)
{
	int r = restore_each_living(re, begin_become);
	if (r >= 0)
		r = restore_each_living(re, end_become);
	if (r >= 0)
		r = restore_each_living(re, rest);
	if (r >= 0 && re->stubs.explain)
		return explain_release(re);
	if (r >= 0)
		r = announce(re);
	if (r < 0)
		return r;
	restore_each_living(re, resume_devices);
	hook_run_anyway(re->s, HOOK_PRE_RESUME);
	vec_for_each (&re->tree.tasks, t)
		if (shall_stop(re, *t))
			stop(*t);
	commit(re);
	ipc_keep(&re->tree);
	file_restore_done(re->files);
	vec_for_each (&re->tree.tasks, t)
		if (task_lives(*t))
			let_go(*t);
	file_tell_terminals(re->files);
	await_stops(re);
	hook_run_anyway(re->s, HOOK_POST_RESUME);
	return 0;
}
