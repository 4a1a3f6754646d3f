/*
 * After all tasks were collected: what only the whole tree tells about its terminals.
 *
 * The session and foreground group of a terminal are those that its members' stat shows; the
 * kernel has one controlling terminal per session, but a member forked before the leader got it,
 * or that gave it up, has none (fermata_entry.no_tty).  What is open outside the tree stays there:
 *
 *	slave here, master outside     a job of some terminal: --shell-job, or --external tty[]
 *	master here, slave outside     refused: its owner would be hung up
 *	session of a leader outside    --shell-job
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/tty.h"
#include "kernel/proc_holder.h"
#include "kernel/proc_stat.h"
#include "task/extras.h"

enum { PTS_MAJOR = 136 };

#define tty_block(d, t, remedy, fmt, ...)                                              \
	block((d)->s, (t)->from.task->vpid, (remedy), "fd %d: " fmt, (t)->from.number, \
		##__VA_ARGS__)

/* stat's tty_nr: the kernel's new_encode_dev() */
static bool is_pts(uint64_t device)
{
	return (device >> 8 & 0xfff) == PTS_MAJOR;
}

static unsigned minor_of(uint64_t device)
{
	return (unsigned)((device & 0xff) | (device >> 12 & 0xfff00));
}

static uint32_t tree_pid(const struct file_dump *d, pid_t pid)
{
	vec_for_each (&d->tree->tasks, t)
		if ((*t)->pid == pid)
			return (uint32_t)(*t)->vpid;
	return (uint32_t)pid;
}

static struct task *session_leader(const struct file_dump *d, uint32_t sid)
{
	struct task *t = tree_find(d->tree, (pid_t)sid);
	return t && task_lives(t) && t->sid == t->vpid ? t : NULL;
}

static struct tty_dump *find_tty(const struct ttys_dump *ttys, uint64_t device)
{
	vec_for_each (&ttys->all, it) {
		struct tty_dump *t = *it;
		if (t->device == device && !t->hung_up && t->info->type != TTY_TYPE__CTTY)
			return t; /* a master has the device of its slave */
	}
	return NULL;
}

/* --- pairs --- */

static void pair(const struct ttys_dump *ttys)
{
	vec_for_each (&ttys->all, a)
		vec_for_each (&ttys->all, b)
			if ((*a)->master && !(*b)->master && (*b)->info->type == TTY_TYPE__PTY &&
				(*a)->info->pty->index == (*b)->info->pty->index) {
				(*a)->peer = *b;
				(*b)->peer = *a;
			}
}

static struct tty_dump *new_slave(struct file_dump *d, unsigned index, struct file_source from)
{
	struct tty_dump *t = arena_new(&d->s->arena, struct tty_dump);
	TtyInfoEntry *e = t->info = arena_new(&d->s->arena, TtyInfoEntry);
	tty_info_entry__init(e);
	t->from = from;
	e->id = index * 2;
	e->type = TTY_TYPE__PTY;
	e->pty = arena_new(&d->s->arena, TtyPtyEntry);
	tty_pty_entry__init(e->pty);
	e->pty->index = index;
	e->rdev = (uint32_t)makedev(PTS_MAJOR, index);
	*vec_push(&d->s->arena, &d->ttys->all) = t;
	return t;
}

/*
 * Of a slave that nobody has open, the record says who owns it, and by having no termios that it
 * was open once, which the master can tell.
 */
static int add_closed_slave(struct file_dump *d, struct tty_dump *master)
{
	struct stat st;
	_cleanup_close_ int fd = source_take(d, &master->from);
	_cleanup_close_ int peer = fd < 0 ? -1 : ioctl(fd, TIOCGPTPEER, O_PATH | O_CLOEXEC);
	if (fd < 0 || peer < 0 || fstat(peer, &st) < 0)
		return fd < 0 ? fd : 0;
	struct tty_dump *t = new_slave(d, master->info->pty->index, master->from);
	TtyInfoEntry *e = t->info;
	t->devpts = st.st_dev;
	t->peer = master;
	master->peer = t;
	e->has_dev = e->has_uid = e->has_gid = true;
	e->dev = (uint32_t)st.st_dev;
	e->uid = st.st_uid;
	e->gid = st.st_gid;
	if (!master->slaves_closed) {
		e->termios = master->info->termios;
		e->termios_locked = master->info->termios_locked;
		e->winsize = master->info->winsize;
	}
	return 0;
}

/* --- ends outside the tree --- */

/* Some process that has the slave open though the tree has not; 0: none. */
static pid_t find_holder(struct file_dump *d, const struct tty_dump *master)
{
	unsigned index = master->info->pty->index;
	return proc_find_holder(arena_printf(&d->s->arena, "/%u", index), master->devpts,
		makedev(PTS_MAJOR, index));
}

static void check_master(struct file_dump *d, struct tty_dump *t)
{
	if (t->no_peer && (!t->peer || t->peer->hung_up)) {
		tty_block(d, t, NULL,
			"the slave of this terminal (%s) cannot be reached: no devpts is mounted "
			"beside it",
			t->link);
		return;
	}
	if (t->peer || t->slaves_closed)
		return;
	pid_t holder = find_holder(d, t);
	if (holder)
		tty_block(d, t, NULL,
			"the master of the terminal /dev/pts/%u, which process %d outside the "
			"tree has open",
			t->info->pty->index, holder);
}

/* Both say that the restore has another end for one of them. */
static bool takes_orphans(const struct file_dump *d)
{
	return d->s->opt->shell_job || d->s->opt->orphan_pts_master;
}

static void check_slave(struct file_dump *d, struct tty_dump *t, unsigned *n_orphans)
{
	if (t->peer || t->hung_up)
		return;
	if (!takes_orphans(d))
		tty_block(d, t,
			arena_printf(&d->s->arena,
				"Consider using --shell-job, or --external tty[%x:%x]",
				t->info->rdev, t->info->dev),
			"%s is the terminal of session %u (foreground group %u); its other end is "
			"outside the tree",
			t->link, t->info->sid, t->info->pgrp);
	else if ((*n_orphans)++)
		tty_block(d, t, NULL,
			"%s is the second terminal whose other end is outside the tree: "
			"--shell-job restores one",
			t->link);
}

/* --- sessions --- */

static void learn_session(struct file_dump *d, struct tty_dump *t)
{
	TtyInfoEntry *e = t->info;
	vec_for_each (&d->tree->tasks, it) {
		const struct proc_stat *st = &(*it)->stat;
		if (task_lives(*it) && st->tty_nr && (uint64_t)(unsigned)st->tty_nr == t->device) {
			e->sid = (uint32_t)st->sid;
			e->pgrp = st->tty_pgrp > 0 ? (uint32_t)st->tty_pgrp : 0;
			break;
		}
	}
	e->sid = e->sid ? tree_pid(d, (pid_t)e->sid) : 0;
	e->pgrp = e->pgrp ? tree_pid(d, (pid_t)e->pgrp) : 0;
}

static void check_session(struct file_dump *d, const struct tty_dump *t)
{
	const TtyInfoEntry *e = t->info;
	bool waived = d->s->opt->shell_job || e->type == TTY_TYPE__EXT_TTY;
	if (!e->sid || session_leader(d, e->sid) || waived || (t->master && t->peer))
		return;
	if (e->type == TTY_TYPE__PTY && !t->master && !t->peer)
		return; /* said already */
	tty_block(d, t, "Consider using --shell-job",
		"%s is the terminal of session %u (foreground group %u), whose leader is outside "
		"the tree",
		t->link, e->sid, e->pgrp);
}

/* An open /dev/tty is opened again by its holder: it must lead to the same terminal. */
static void check_ctty(struct file_dump *d, const struct tty_dump *t)
{
	vec_for_each (&t->files, f) {
		const struct task *holder = (*f)->from.task;
		if ((uint64_t)(unsigned)holder->stat.tty_nr != t->device)
			block(d->s, holder->vpid, NULL,
				"fd %d: /dev/tty, opened when this task had another controlling "
				"terminal",
				(*f)->from.number);
	}
}

/* The controlling terminal of a leader that has it nowhere open. */
static void check_leader(struct file_dump *d, struct task *t)
{
	uint64_t device = (unsigned)t->stat.tty_nr;
	if (d->ttys && find_tty(d->ttys, device))
		return;
	unsigned index = minor_of(device);
	if (!is_pts(device) || index > PTY_INDEX_MAX || !takes_orphans(d)) {
		block(d->s, t->vpid, is_pts(device) ? "Consider using --shell-job" : NULL,
			"its controlling terminal (device %u:%u) is open nowhere in the tree",
			(unsigned)(device >> 8 & 0xfff), index);
		return;
	}
	if (!d->ttys)
		d->ttys = arena_new(&d->s->arena, struct ttys_dump);
	struct tty_dump *tty = new_slave(d, index, (struct file_source){.task = t, .number = -1});
	tty->device = device;
}

/* Members of these sessions that have not the terminal of their leader. */
static void note_no_tty(struct file_dump *d, const struct task *lead)
{
	vec_for_each (&d->tree->tasks, it) {
		struct task *t = *it;
		if (!task_lives(t) || t->sid != lead->sid || t->stat.tty_nr)
			continue;
		FermataEntry *e = extras_make(d->s, leader(t));
		e->has_no_tty = e->no_tty = true;
	}
}

int tty_dump_settle(struct file_dump *d)
{
	vec_for_each (&d->tree->tasks, it) {
		struct task *t = *it;
		if (!task_lives(t) || t->sid != t->vpid || !t->stat.tty_nr)
			continue;
		check_leader(d, t);
		note_no_tty(d, t);
	}
	if (!d->ttys)
		return 0;
	pair(d->ttys);
	unsigned orphans = 0;
	int r = 0;
	for (size_t i = 0, n = d->ttys->all.n; i < n && r >= 0; i++) {
		struct tty_dump *t = d->ttys->all.v[i];
		learn_session(d, t);
		check_session(d, t);
		if (t->info->type == TTY_TYPE__CTTY)
			check_ctty(d, t);
		if (t->info->type != TTY_TYPE__PTY)
			continue;
		if (!t->master)
			check_slave(d, t, &orphans);
		else
			check_master(d, t);
		if (t->master && !t->peer)
			r = add_closed_slave(d, t);
	}
	return r;
}
