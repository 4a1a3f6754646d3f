/*
 * Controlling terminals, foreground groups, and /dev/tty: their restore.
 *
 * A session leader takes its terminal (TIOCSCTTY), and only who is forked after that has it too:
 * so the leader's stub does it between setsid() and the birth of its children.  The foreground
 * group is set by the leader once all groups exist; for one without members there is a helper
 * (restore/sessions.c).  A member without the terminal gives it up again.  /dev/tty opens the
 * caller's terminal, so each is opened by the stub of a task that has it and taken from there.
 *
 * With --shell-job, the terminal of the tool takes the place of the one whose master was outside.
 * If the leader is in the tree it is taken from the session that has it; else the tree stays in
 * the tool's session and the root's group comes to the foreground.  A new terminal, whose master
 * a client gets, can only be given to a session by a leader in the tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "file/tty.h"
#include "kernel/syscalls.h"
#include "task/extras.h"

/* --- which terminal --- */

static struct tty *controlling_tty(const struct file_set *f, const struct task *t)
{
	struct tty *found = NULL;
	if (!f->ttys || !task_lives(t) || t->sid != t->vpid)
		return NULL;
	vec_for_each (&f->ttys->all, it) {
		struct tty *tty = *it;
		const TtyInfoEntry *e = tty->info;
		bool hung_up = e->type == TTY_TYPE__PTY && !e->termios && !tty_is_orphan(tty);
		if (e->sid != (uint32_t)t->vpid || e->type == TTY_TYPE__CTTY)
			continue;
		if (tty->peer && !tty->master)
			return tty->peer; /* the pair's own descriptor is with the master */
		if (!hung_up || (!tty->files.n && !tty->master))
			found = tty;
	}
	return found;
}

static bool is_callers(const struct file_set *f, const struct tty *t)
{
	return !t->master && !t->peer && t->info->type == TTY_TYPE__PTY &&
	       !(t->files.n && t->files.v[0]->inherited >= 0) && !tty_is_for_client(f, t);
}

/* Stays t's. */
static int tty_fd(struct file_set *f, struct tty *t)
{
	if (t->fd >= 0)
		return t->fd;
	int r = 0;
	if (is_callers(f, t)) {
		t->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
		if (t->fd < 0 || !isatty(t->fd))
			r = fail_remedy(f->s, ENOTTY, "start the restore from a terminal",
				"the standard input is no terminal, which --shell-job needs");
	} else if (!t->files.n) {
		r = fail(f->s, EBADMSG, "terminal %u has a session, but is open nowhere",
			t->info->id);
	} else {
		r = file_get(f, t->files.v[0], &t->fd);
		t->fd = r < 0 ? -1 : fcntl(t->fd, F_DUPFD_CLOEXEC, 0);
	}
	return r < 0 ? r : t->fd;
}

bool file_has_terminal(const struct file_set *f, const struct task *t)
{
	return controlling_tty(f, t) != NULL;
}

pid_t file_foreground_group(const struct file_set *f, const struct task *t)
{
	const struct tty *tty = controlling_tty(f, t);
	if (!tty)
		return 0;
	uint32_t pgrp = tty->info->pgrp ? tty->info->pgrp : tty->peer ? tty->peer->info->pgrp : 0;
	return pgrp <= INT32_MAX ? (pid_t)pgrp : 0;
}

/* --- the steps --- */

static int plan_receive(struct file_set *f, struct stubs *st, struct tty *tty, struct program *p)
{
	int fd = st->explain ? 0 : tty_fd(f, tty);
	int r = fd < 0 ? fd : stub_send_fds(st, &fd, 1);
	if (r >= 0)
		stub_plan_receive(st, p, 1);
	return r;
}

static struct arg received(const struct stubs *st)
{
	return imm((uint64_t)stub_landing(st, 0));
}

static void plan_close(const struct stubs *st, struct program *p)
{
	program_step(p, "close", "the terminal", SYS_close, received(st));
}

int file_plan_terminal(struct file_set *f, struct stubs *st, struct task *t, struct program *p)
{
	struct tty *tty = controlling_tty(f, t);
	if (!tty)
		return 0;
	int r = plan_receive(f, st, tty, p);
	if (r < 0)
		return r;
	program_step(p, "take the controlling terminal", NULL, SYS_ioctl, received(st),
		imm(TIOCSCTTY), imm(is_callers(f, tty)));
	plan_close(st, p);
	return 0;
}

static struct program *fresh_program(struct file_set *f, struct task *t)
{
	struct program *p = &leader(t)->program;
	program_init(p, f->s, arena_printf(&f->s->arena, "pid %d", t->vpid));
	return p;
}

static int set_foreground(struct file_set *f, struct stubs *st, struct task *t, struct tty *tty,
	pid_t pgrp, bool may_fail)
{
	struct program *p = fresh_program(f, t);
	int r = plan_receive(f, st, tty, p);
	if (r < 0)
		return r;
	int step =
		program_step(p, "set the foreground group", arena_printf(&f->s->arena, "%d", pgrp),
			SYS_ioctl, received(st), imm(TIOCSPGRP), in_copy(p, &pgrp, sizeof(pgrp)));
	if (may_fail)
		program_may_fail(p, step);
	plan_close(st, p);
	return stub_play(st, leader(t), p);
}

static int give_up(struct file_set *f, struct stubs *st, struct task *t)
{
	if (!extra_or(leader(t), no_tty, false))
		return 0;
	struct task *lead = tree_find(f->tree, t->sid);
	struct tty *tty = lead && lead != t ? controlling_tty(f, lead) : NULL;
	if (!tty)
		return 0;
	struct program *p = fresh_program(f, t);
	int r = plan_receive(f, st, tty, p);
	if (r < 0)
		return r;
	/* its parent may have none either */
	int step = program_may_fail(p, program_step(p, "give up the controlling terminal", NULL,
					       SYS_ioctl, received(st), imm(TIOCNOTTY)));
	plan_close(st, p);
	r = stub_play(st, leader(t), p);
	if (r >= 0 && program_result(p, step) < 0 && program_result(p, step) != -ENOTTY)
		r = fail(f->s, (int)program_result(p, step), "pid %d: give up the controlling terminal",
			t->vpid);
	return r;
}

/* --- /dev/tty --- */

static struct task *holder_of(const struct file_set *f, const struct open_file *o)
{
	vec_for_each (&f->tables, t)
		vec_for_each (&(*t)->slots, slot)
			if (slot->file == o)
				return (*t)->task;
	return NULL;
}

static int take_opened(struct file_set *f, struct task *t, int number, struct open_file *o)
{
	_cleanup_close_ int pidfd = sys_pidfd_open(t->pid, 0);
	int fd = pidfd < 0 ? pidfd : sys_pidfd_getfd(pidfd, number);
	if (fd < 0)
		return fail(f->s, fd, "pid %d: get the /dev/tty that it opened", t->vpid);
	o->fd = fd;
	return 0;
}

static int open_dev_tty(struct file_set *f, struct stubs *st, struct open_file *o)
{
	struct task *t = holder_of(f, o);
	if (!t || o->inherited >= 0)
		return 0;
	struct program *p = fresh_program(f, t);
	int step = program_step(p, "open", "/dev/tty", SYS_openat, simm(AT_FDCWD),
		in_str(p, "/dev/tty"), imm((uint64_t)tty_open_flags(o)));
	if (f->s->opt->shell_job)
		program_may_fail(p, step); /* then it is opened like the other descriptors */
	int r = stub_play(st, leader(t), p);
	if (r < 0 || st->explain)
		return r;
	int number = (int)program_result(p, step);
	if (number < 0)
		return 0;
	r = take_opened(f, t, number, o);
	p = fresh_program(f, t);
	program_step(p, "close", "/dev/tty", SYS_close, imm((uint64_t)number));
	int closed = stub_play(st, leader(t), p);
	return r < 0 ? r : closed;
}

/* --- all of them --- */

/* A terminal of ours would stop us for setting it from the background. */
static void block_signals(struct tty_set *set)
{
	sigset_t background;
	sigemptyset(&background);
	sigaddset(&background, SIGTTOU);
	sigaddset(&background, SIGTTIN);
	set->signals_blocked = sigprocmask(SIG_BLOCK, &background, &set->old_signals) == 0;
}

/* A leader that had its terminal nowhere open, and whose master was outside. */
static int check_callers(struct file_set *f)
{
	vec_for_each (&f->tree->tasks, it) {
		struct tty *tty = controlling_tty(f, *it);
		if (!tty || !is_callers(f, tty))
			continue;
		if (!f->s->opt->shell_job)
			return fail_remedy(f->s, EINVAL, "use --shell-job",
				"pid %d: its controlling terminal was outside the tree",
				(*it)->vpid);
		int fd = tty_fd(f, tty);
		if (fd < 0)
			return fd;
	}
	return 0;
}

/* Without its leader, the tree would stay in the tool's session: it would lose the terminal. */
static int check_for_client(struct file_set *f)
{
	vec_for_each (&f->ttys->all, it) {
		const struct tty *tty = *it;
		uint32_t sid = tty->info->sid;
		if (!sid || !tty_is_for_client(f, tty))
			continue;
		const struct task *lead = tree_find(f->tree, (pid_t)sid);
		if (!lead || controlling_tty(f, lead) != tty)
			return fail_remedy(f->s, EINVAL,
				"restore it from a terminal, with --shell-job and without "
				"orphan_pts_master",
				"the leader of session %u, whose terminal was /dev/pts/%u, is not "
				"in the images: nobody can make a new terminal that of the session",
				sid, tty->info->pty->index);
	}
	return 0;
}

int file_make_terminals(struct file_set *f)
{
	if (!f->ttys->all.n)
		return 0;
	int r = check_callers(f);
	if (r >= 0)
		r = check_for_client(f);
	if (r < 0 || f->s->opt->explain)
		return r;
	block_signals(f->ttys);
	return pty_make_all(f);
}

/* The job's group, if it is one of its own, as a shell does with "fg". */
static int set_callers_foreground(struct file_set *f, struct stubs *st)
{
	struct task *root = f->tree->root;
	if (!f->s->opt->shell_job || root->sid == root->vpid || root->pgid != root->vpid)
		return 0;
	vec_for_each (&f->ttys->all, t)
		if (tty_is_orphan(*t) && is_callers(f, *t) && (*t)->files.n)
			return set_foreground(f, st, root, *t, root->pgid, /* may_fail= */ true);
	return 0;
}

/* The window that the tree knows is not that of the caller: it is told as by any resizing. */
static void tell_new_size(struct file_set *f, const struct tty *t)
{
	struct task *root = f->tree->root;
	struct winsize now;
	const WinsizeEntry *e = t->info->winsize;
	pid_t pgrp = root->sid == root->vpid ? file_foreground_group(f, root) : root->pgid;
	if (!e || pgrp <= 1 || ioctl(STDIN_FILENO, TIOCGWINSZ, &now) < 0 ||
		(root->sid != root->vpid && root->pgid != root->vpid))
		return;
	if (now.ws_row != e->ws_row || now.ws_col != e->ws_col)
		kill(-pgrp, SIGWINCH);
}

void file_tell_terminals(struct file_set *f)
{
	vec_for_each (&f->ttys->all, t)
		if (tty_is_orphan(*t) && is_callers(f, *t) && (*t)->files.n)
			tell_new_size(f, *t);
}

int file_settle_terminals(struct file_set *f, struct stubs *st)
{
	if (!f->ttys->all.n)
		return 0;
	int r = set_callers_foreground(f, st);
	for (size_t i = 0; i < f->tree->tasks.n && r >= 0; i++) {
		struct task *t = f->tree->tasks.v[i];
		pid_t pgrp = file_foreground_group(f, t);
		if (pgrp)
			r = set_foreground(f, st, t, controlling_tty(f, t), pgrp, false);
		if (r >= 0 && task_lives(t))
			r = give_up(f, st, t);
	}
	for (size_t i = 0; i < f->all.n && r >= 0; i++) {
		struct open_file *o = f->all.v[i];
		if (o->tty && o->tty->info->type == TTY_TYPE__CTTY && o->uses_left)
			r = open_dev_tty(f, st, o);
	}
	vec_for_each (&f->ttys->all, t)
		pty_let_go(*t);
	return r;
}
