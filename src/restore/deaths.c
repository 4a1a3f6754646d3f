/*
 * Deaths: zombies end as they once did, helpers because they are done.
 *
 * A helper that stood for a group leader is reaped by the task it was made for; one that stood for
 * a session leader leaves its children to whoever adopts them, as happened in real life, and is
 * reaped by its parent likewise.  Nothing else may ever see them.
 */
#include "restore/restore_tree.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* Signals that do not kill by default cannot have ended a task. */
static int deadly(int signo)
{
	switch (signo) {
	case SIGCHLD:
	case SIGCONT:
	case SIGURG:
	case SIGWINCH:
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
		return SIGABRT;
	default:
		return signo;
	}
}

static void plan_death(struct session *s, struct task *t, struct program *p)
{
	static const uint64_t nothing_blocked = 0;
	if (t->state == TASK_HELPER) {
		program_step(p, "exit", NULL, SYS_exit_group, imm(0));
		return;
	}
	const TaskCoreEntry *tc = leader(t)->core->tc;
	int signo = tc->exit_code & 0x7f;
	char name[16] = {0};
	strncpy(name, tc->comm, sizeof(name) - 1);
	program_step(p, "set the name", NULL, SYS_prctl, imm(PR_SET_NAME),
		in_copy(p, name, sizeof(name)));
	if (!signo) {
		program_step(p, "exit", NULL, SYS_exit_group, imm(tc->exit_code >> 8 & 0xff));
		return;
	}
	program_step(p, "leave no core file", NULL, SYS_prctl, imm(PR_SET_DUMPABLE), imm(0));
	program_step(p, "unblock signals", NULL, SYS_rt_sigprocmask, imm(SIG_SETMASK),
		in(p, &nothing_blocked, sizeof(nothing_blocked)), imm(0), imm(8));
	program_step(p, "die", arena_printf(&s->arena, "by signal %d", signo), SYS_kill,
		imm((uint64_t)t->vpid), imm((uint64_t)deadly(signo)));
}

/* It rests in the agent, alive: a step failed, or the last one did not end it. */
static int survived(const struct restore *re, const struct task *t)
{
	int r = channel_collect(&leader(t)->channel, &leader(t)->program);
	return r < 0 ? r : fail(re->s, EPROTO, "pid %d: should have ended, but lives", t->vpid);
}

static bool is_crash(int signo)
{
	return signo == SIGSEGV || signo == SIGBUS || signo == SIGILL;
}

/* Lets it run into its end, passing on only the signal it sent itself. */
static int wait_death(struct restore *re, const struct task *t)
{
	int end = t->state == TASK_DEAD ? leader(t)->core->tc->exit_code & 0x7f : 0;
	for (;;) {
		int status, err;
		uint32_t nr;
		if (wait4(t->pid, &status, __WALL, NULL) < 0) {
			if (errno == EINTR)
				continue;
			return fail(re->s, errno, "pid %d: wait for its end", t->vpid);
		}
		if (!WIFSTOPPED(status))
			return 0;
		int signo = status >> 16 ? 0 : WSTOPSIG(status);
		bool own = end && signo == deadly(end);
		if (signo == SIGTRAP && (!own || channel_failed(&leader(t)->channel, &nr, &err)))
			return survived(re, t);
		if (is_crash(signo) && !own)
			return fail(re->s, EFAULT, "pid %d: got signal %d before its end", t->vpid,
				signo);
		ptrace(PTRACE_CONT, t->pid, NULL, (void *)(intptr_t)(own ? signo : 0));
	}
}

static int end_task(struct restore *re, struct task *t)
{
	struct program *p = &leader(t)->program;
	program_init(p, re->s, arena_printf(&re->s->arena, "pid %d", t->vpid));
	plan_death(re->s, t, p);
	int r = stub_start(&re->stubs, leader(t), p);
	return r < 0 || re->stubs.explain ? r : wait_death(re, t);
}

static int reap_helper(struct restore *re, struct task *h)
{
	struct task *t = h->parent;
	struct program *p = &leader(t)->program;
	program_init(p, re->s, arena_printf(&re->s->arena, "pid %d", t->vpid));
	int step = program_step(p, "reap helper", arena_printf(&re->s->arena, "%d", h->vpid),
		SYS_wait4, imm((uint64_t)h->vpid), imm(0), imm(__WALL), imm(0));
	program_expect(p, step, h->vpid);
	return stub_play(&re->stubs, leader(t), p);
}

int restore_deaths(struct restore *re)
{
	int r = 0;
	/* children before parents: a helper may be the child of another */
	for (size_t i = re->tree.tasks.n; i-- > 0 && r >= 0;) {
		struct task *t = re->tree.tasks.v[i];
		if (task_lives(t))
			continue;
		r = end_task(re, t);
		if (r >= 0 && t->state == TASK_HELPER)
			r = reap_helper(re, t);
		stub_forget(&re->stubs, t->pid);
	}
	return r;
}
