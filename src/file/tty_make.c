/*
 * Pseudo terminals made again, before the tree is: its sessions are born with them.
 *
 * The kernel gives out the lowest free number of a devpts instance, so ptmx is opened until the
 * wanted one comes.  Order for one: queues and parameters while no session has it (no signals),
 * then every slave of the images, then what would be in the way before: exclusive use, packet
 * mode, the lock.  A slave that O_LARGEFILE betrays as not opened by a path was opened by
 * TIOCGPTPEER.
 *
 * The client of a service may want to be the other end of a slave whose master was outside the
 * tree (spec/rpc.md 5, orphan-pts-master).  Its pair is made last and has the old number only if
 * that is free; it is complete when the client gets the master, which may then resize it.
 */
#include "file/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/hook.h"

enum { RAW_O_LARGEFILE = 0100000, OWN_SLAVE = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC };

/* Masters with other numbers, kept open so that those do not come again. */
struct making {
	struct file_set *f;
	VEC(int) wrong;
	struct pty_queues *queues; /* room for those of one */
};

static const char *path_of(const struct file_set *f, const struct open_file *o, const char *other)
{
	const struct open_file *reg = file_find(f, o->e->tty->regf_id);
	return reg ? reg->e->reg->name : other;
}

/* /dev/pts/7 -> /dev/pts/ptmx */
static const char *ptmx_beside(struct file_set *f, const char *slave)
{
	size_t len = (size_t)(strrchr(slave, '/') - slave);
	return arena_printf(&f->s->arena, "%.*s/ptmx", (int)len, slave);
}

/* The client's terminal gets the next number if the wanted one is taken. */
static int open_master(
	struct making *m, const char *ptmx, int flags, const struct tty *t, int *ret_fd)
{
	struct session *s = m->f->s;
	unsigned wanted = t->info->pty->index;
	for (;;) {
		int fd = path_open(m->f, ptmx, flags | O_NOCTTY | O_CLOEXEC);
		unsigned index;
		if (fd < 0)
			return fail(
				s, fd, "open %s for the pseudo terminal number %u", ptmx, wanted);
		if (ioctl(fd, TIOCGPTN, &index) < 0) {
			int err = errno;
			close(fd);
			return fail(s, err, "%s makes no pseudo terminals", ptmx);
		}
		*ret_fd = fd;
		if (index == wanted || (index > wanted && tty_is_for_client(m->f, t)))
			return 0;
		*vec_push(&s->arena, &m->wrong) = fd;
		if (index > wanted)
			return fail(s, EEXIST, "the pseudo terminal number %u of %s is taken",
				wanted, ptmx);
	}
}

static int set_lock(int master, int locked)
{
	return ioctl(master, TIOCSPTLCK, &locked) < 0 ? -errno : 0;
}

/* The kernel would keep O_CLOEXEC among the flags of the open file, where /proc mixes the two. */
static int open_peer(int master, int flags)
{
	int fd = ioctl(master, TIOCGPTPEER, flags & ~O_CLOEXEC);
	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_slave(struct file_set *f, int master, struct open_file *o)
{
	int flags = tty_open_flags(o), fd = -ENOENT;
	if (o->flags & RAW_O_LARGEFILE && !tty_is_orphan(o->tty)) /* it may have a new path */
		fd = path_open(f, path_of(f, o, "?"), flags);
	if (fd == -ENOENT || fd == -ENOTDIR) /* of another devpts, not mounted here */
		fd = open_peer(master, flags);
	o->fd = fd < 0 ? -1 : fd;
	return fd < 0 ? fail(f->s, fd, "%s: open the pseudo terminal %u", open_file_label(f, o),
				o->tty->info->pty->index)
		      : 0;
}

static bool is_hung_up(const struct tty *t, const struct open_file *o)
{
	return !t->info->termios || (o->extra && o->extra->has_hung_up && o->extra->hung_up);
}

/* Those with or without a hangup behind them. */
static int open_slaves(struct file_set *f, struct tty *slave, int master, bool hung_up)
{
	int r = 0, fd = -1;
	for (size_t i = 0; slave && i < slave->files.n && r >= 0; i++) {
		struct open_file *o = slave->files.v[i];
		if (o->inherited >= 0 || is_hung_up(slave, o) != hung_up)
			continue;
		r = open_slave(f, master, o);
		fd = o->fd;
	}
	if (r >= 0 && hung_up && fd >= 0 && ioctl(fd, TIOCVHANGUP) < 0)
		r = fail(f->s, errno, "hang up the pseudo terminal %u", slave->info->pty->index);
	return r;
}

static int set_owner(struct file_set *f, const struct tty *t, int fd)
{
	const TtyInfoEntry *e = t->info;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fail(f->s, errno, "look at the pseudo terminal %u", e->pty->index);
	if (e->has_uid && e->has_gid && (e->uid != st.st_uid || e->gid != st.st_gid) &&
		fchown(fd, e->uid, e->gid) < 0)
		return fail(f->s, errno, "give the pseudo terminal %u to user %u, group %u",
			e->pty->index, e->uid, e->gid);
	const struct open_file *reg =
		t->files.n ? file_find(f, t->files.v[0]->e->tty->regf_id) : NULL;
	mode_t mode = reg && reg->e->reg->has_mode ? reg->e->reg->mode & 07777 : st.st_mode & 07777;
	if (mode != (st.st_mode & 07777) && fchmod(fd, mode) < 0)
		return fail(f->s, errno, "set the mode of the pseudo terminal %u", e->pty->index);
	return 0;
}

static void take_data(struct pty_bytes *to, const struct tty *t)
{
	if (!t || !t->data || !t->data->data.len)
		return;
	to->len = t->data->data.len;
	memcpy(to->data, t->data->data.data, to->len);
}

static int fill(
	struct making *m, const struct tty *t, const struct tty *slave, int fd, int slave_fd)
{
	struct file_set *f = m->f;
	struct pty_queues *q = m->queues;
	q->flow = PTY_FLOWS;
	q->input.len = q->output.len = 0;
	const FermataFileEntry *extra = t->master ? t->files.v[0]->extra : NULL;
	take_data(&q->output, t->master ? t : NULL);
	take_data(&q->input, slave);
	if (extra && extra->has_stopped_by_ioctl)
		q->flow = extra->stopped_by_ioctl ? PTY_STOPPED_BY_IOCTL : PTY_STOPPED_BY_CHAR;
	int r = pty_queues_fill(fd, slave_fd, t->info, q);
	if (r >= 0)
		r = tty_winsize_apply(slave_fd, t->info);
	return r < 0 ? fail(f->s, r, "fill the pseudo terminal %u", t->info->pty->index) : 0;
}

/* What would be in the way of opening and filling it. */
static int finish(
	struct file_set *f, const struct tty *t, const struct tty *slave, int fd, int slave_fd)
{
	const TtyInfoEntry *e = t->info;
	int on = 1;
	if ((t->master && e->exclusive && ioctl(fd, TIOCEXCL) < 0) ||
		(slave && slave->info->exclusive && ioctl(slave_fd, TIOCEXCL) < 0) ||
		(e->packet_mode && ioctl(fd, TIOCPKT, &on) < 0) ||
		(e->locked && set_lock(fd, 1) < 0))
		return fail(f->s, errno, "set the modes of the pseudo terminal %u", e->pty->index);
	return 0;
}

/* A pair but for the descriptor of its master; that of its session stays t's. */
static int furnish(struct making *m, struct tty *t, struct tty *slave, int master)
{
	struct file_set *f = m->f;
	int r = set_lock(master, 0);
	if (r < 0)
		return fail(f->s, r, "unlock the pseudo terminal %u", t->info->pty->index);
	r = open_slaves(f, slave, master, /* hung_up= */ true);
	if (r < 0)
		return r;
	t->fd = ioctl(master, TIOCGPTPEER, OWN_SLAVE);
	if (t->fd < 0)
		return fail(f->s, errno, "open the pseudo terminal %u by its master",
			t->info->pty->index);
	r = fill(m, t, slave, master, t->fd);
	if (r >= 0 && slave)
		r = set_owner(f, slave, t->fd);
	if (r >= 0)
		r = open_slaves(f, slave, master, /* hung_up= */ false);
	if (r >= 0)
		r = finish(f, t, slave, master, t->fd);
	bool has_session = t->info->sid || (slave && slave->info->sid);
	if (r >= 0 && !has_session)
		pty_let_go(t);
	return r;
}

static int make_pair(struct making *m, struct tty *t)
{
	struct file_set *f = m->f;
	struct open_file *o = t->files.v[0];
	int r = open_master(m, path_of(f, o, "/dev/ptmx"), tty_open_flags(o), t, &o->fd);
	if (r < 0)
		o->fd = -1; /* among the wrong ones */
	return r < 0 ? r : furnish(m, t, t->peer, o->fd);
}

/* It then is a job of the terminal that the tool was called on, if there is one. */
static int take_back(struct file_set *f, struct tty *t, int err)
{
	if (!f->s->opt->shell_job || !isatty(STDIN_FILENO))
		return err;
	log_warn(f->s, "the terminal of the tool takes the place of pseudo terminal %u",
		t->info->pty->index);
	t->master_refused = true;
	pty_let_go(t);
	vec_for_each (&t->files, o)
		if ((*o)->fd >= 0)
			close(take_fd(&(*o)->fd));
	return 0;
}

static int make_for_client(struct making *m, struct tty *t)
{
	struct file_set *f = m->f;
	struct failure before = f->s->failure;
	const char *nameless = "/dev/pts/?";
	const char *path = t->files.n ? path_of(f, t->files.v[0], nameless) : nameless;
	_cleanup_close_ int master = -1;
	int fd;
	int r = open_master(m, ptmx_beside(f, path), O_RDWR, t, &fd);
	if (r < 0)
		return r;
	master = fd;
	r = furnish(m, t, t, master);
	if (r < 0)
		return r;
	r = hook_run_with(f->s, HOOK_ORPHAN_PTS_MASTER, master);
	if (r < 0)
		r = take_back(f, t, r);
	if (r >= 0)
		f->s->failure = before;
	return r;
}

/* Slaves whose master was closed: so is this one's. */
static int make_hung_up(struct making *m, struct tty *t)
{
	_cleanup_close_ int master = -1;
	const char *path = path_of(m->f, t->files.v[0], "/dev/pts/?");
	int fd;
	int r = open_master(m, ptmx_beside(m->f, path), O_RDWR, t, &fd);
	if (r < 0)
		return r;
	master = fd;
	r = set_lock(master, 0);
	for (size_t i = 0; i < t->files.n && r >= 0; i++)
		r = open_slave(m->f, master, t->files.v[i]);
	return r;
}

void pty_let_go(struct tty *t)
{
	if (t->fd < 0)
		return;
	int master = t->master && t->files.n ? t->files.v[0]->fd : -1;
	const struct tty *slave = t->peer;
	bool never_opened = master >= 0 && (!slave || (!slave->files.n && slave->info->termios));
	if (never_opened) { /* see give_slave_back() in pty_data.c */
		set_lock(master, 1);
		int none = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (none >= 0)
			close(none);
	}
	close(take_fd(&t->fd));
	if (never_opened)
		set_lock(master, t->info->locked);
}

static bool is_ours(const struct tty *t)
{
	return t->info->type == TTY_TYPE__PTY && t->files.n && t->files.v[0]->inherited < 0;
}

static int by_index(const void *a, const void *b)
{
	const struct tty *const *x = a, *const *y = b;
	uint32_t i = (*x)->info->id, j = (*y)->info->id;
	return (i > j) - (i < j);
}

int pty_make_all(struct file_set *f)
{
	struct making m = {.f = f, .queues = arena_new(&f->s->arena, struct pty_queues)};
	int r = 0;
	if (f->ttys->all.n) /* a number that was passed over cannot be wanted later */
		qsort(f->ttys->all.v, f->ttys->all.n, sizeof(*f->ttys->all.v), by_index);
	for (size_t i = 0; i < f->ttys->all.n && r >= 0; i++) {
		struct tty *t = f->ttys->all.v[i];
		if (!is_ours(t))
			continue;
		if (t->master)
			r = make_pair(&m, t);
		else if (!t->peer && !t->info->termios)
			r = make_hung_up(&m, t);
	}
	for (size_t i = 0; i < f->ttys->all.n && r >= 0; i++) {
		struct tty *t = f->ttys->all.v[i];
		if (tty_is_for_client(f, t))
			r = make_for_client(&m, t);
	}
	vec_for_each (&m.wrong, fd)
		close(*fd);
	return r;
}
