/*
 * Open terminals: their restore, before anything is forked and where no pseudo terminal is made.
 *
 * The console, virtual consoles and serial lines are there whether or not the tree is: they are
 * opened by their path and given the parameters of the dump.  So are external terminals, which
 * come by --inherit-fd.  An orphan, a slave whose master was outside the tree, becomes the
 * terminal that the tool was called on (--shell-job), or a new one whose master a client of the
 * service gets (orphan_pts_master, which tty_make.c does).
 */
#include "file/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* --- reading the images --- */

static const RegFileEntry *path_of(const struct file_set *f, const struct open_file *o)
{
	const struct open_file *reg = file_find(f, o->e->tty->regf_id);
	return reg ? reg->e->reg : NULL;
}

static int load_records(struct file_set *f)
{
	ProtobufCMessage **all;
	size_t n;
	int r = image_read_all(f->s, IMG_TTY_INFO, 0, &all, &n);
	for (size_t i = 0; i < n && r >= 0; i++) {
		const TtyInfoEntry *e = (const TtyInfoEntry *)all[i];
		struct tty *t = arena_new(&f->s->arena, struct tty);
		*t = (struct tty){.info = e, .fd = -1};
		t->master = e->type == TTY_TYPE__PTY && e->id % 2;
		if (id_map_get(&f->ttys->by_id, e->id))
			return fail(f->s, EBADMSG, "tty-info.img has the id %u twice", e->id);
		if (!tty_params_sane(e) || (e->type == TTY_TYPE__PTY) != (e->pty != NULL) ||
			(t->master && !e->termios) ||
			(e->pty && (e->pty->index > PTY_INDEX_MAX || e->id / 2 != e->pty->index)))
			return fail(
				f->s, EBADMSG, "tty-info.img: the record %u is not sane", e->id);
		id_map_put(&f->s->arena, &f->ttys->by_id, e->id, t);
		*vec_push(&f->s->arena, &f->ttys->all) = t;
	}
	return r;
}

static int load_data(struct file_set *f)
{
	ProtobufCMessage **all;
	size_t n;
	int r = image_read_all(f->s, IMG_TTY_DATA, 0, &all, &n);
	for (size_t i = 0; i < n && r >= 0; i++) {
		const TtyDataEntry *e = (const TtyDataEntry *)all[i];
		struct tty *t = id_map_get(&f->ttys->by_id, e->tty_id);
		if (!t || t->info->type != TTY_TYPE__PTY || e->data.len > PTY_QUEUE_MAX)
			return fail(f->s, EBADMSG, "tty-data.img: the record of terminal %u",
				e->tty_id);
		t->data = e;
	}
	return r;
}

static void pair(struct tty_set *set)
{
	vec_for_each (&set->all, it) {
		struct tty *t = *it;
		if (t->info->type != TTY_TYPE__PTY || t->master)
			continue;
		struct tty *master = id_map_get(&set->by_id, t->info->id + 1);
		if (master && master->files.n) {
			t->peer = master;
			master->peer = t;
		}
	}
}

static int attach(struct file_set *f, struct open_file *o)
{
	const TtyFileEntry *e = o->e->tty;
	o->tty = id_map_get(&f->ttys->by_id, e->tty_info_id);
	if (!o->tty)
		return fail(f->s, EBADMSG, "file %u: terminal %u is not in tty-info.img", o->id,
			e->tty_info_id);
	struct open_file *reg = e->has_regf_id ? file_find(f, e->regf_id) : NULL;
	if (e->has_regf_id && (!reg || !reg->e->reg || reg->e->reg->name[0] != '/'))
		return fail(f->s, EBADMSG,
			"file %u: the path of this terminal is not in the images", o->id);
	if (reg && !reg->uses_left)
		reg->of_tty = true;
	return 0;
}

/* O_PATH descriptors of slaves: the path is not there yet. */
static bool names_slave(const struct file_set *f, const struct open_file *o)
{
	const RegFileEntry *e = o->e->reg;
	if (!e || !e->has_mode || !S_ISCHR(e->mode) || !(e->flags & O_PATH))
		return false;
	vec_for_each (&f->ttys->all, it) {
		const struct tty *t = *it;
		const RegFileEntry *path = t->files.n ? path_of(f, t->files.v[0]) : NULL;
		if (path && !t->master && t->info->type == TTY_TYPE__PTY &&
			strcmp(path->name, e->name) == 0)
			return true;
	}
	return false;
}

int tty_load(struct file_set *f)
{
	f->ttys = arena_new(&f->s->arena, struct tty_set);
	int r = load_records(f);
	if (r >= 0)
		r = load_data(f);
	for (size_t i = 0; i < f->all.n && r >= 0; i++)
		if (f->all.v[i]->e->type == FD_TYPES__TTY)
			r = attach(f, f->all.v[i]);
	return r;
}

void tty_load_ends(struct file_set *f)
{
	for (size_t i = 0; i < f->all.n; i++)
		if (f->all.v[i]->tty && f->all.v[i]->uses_left)
			*vec_push(&f->s->arena, &f->all.v[i]->tty->files) = f->all.v[i];
	pair(f->ttys);
	for (size_t i = 0; i < f->all.n && f->ttys->all.n; i++)
		f->all.v[i]->of_tty |= names_slave(f, f->all.v[i]);
}

void tty_release(struct file_set *f)
{
	if (!f->ttys)
		return;
	vec_for_each (&f->ttys->all, t)
		if ((*t)->fd >= 0)
			close(take_fd(&(*t)->fd));
	if (f->ttys->signals_blocked)
		sigprocmask(SIG_SETMASK, &f->ttys->old_signals, NULL);
}

/* --- checks --- */

bool tty_is_orphan(const struct tty *t)
{
	return t->info->type == TTY_TYPE__PTY && !t->master && !t->peer && t->info->termios;
}

bool tty_is_for_client(const struct file_set *f, const struct tty *t)
{
	if (t->info->type != TTY_TYPE__PTY || t->master || t->peer || t->master_refused)
		return false;
	bool wanted = t->files.n ? t->info->termios && t->files.v[0]->inherited < 0 : t->info->sid;
	return wanted && f->s->opt->orphan_pts_master && f->s->notifier;
}

static int check_orphan(struct file_set *f, const struct open_file *o)
{
	const TtyInfoEntry *e = o->tty->info;
	if (!f->s->opt->shell_job)
		return fail_remedy(f->s, EINVAL,
			"use --shell-job, or --inherit-fd fd[N]:tty[...] if it was dumped as "
			"external",
			"%s: it was dumped as a job of the terminal /dev/pts/%u",
			open_file_label(f, o), e->pty->index);
	if (!isatty(STDIN_FILENO))
		return fail_remedy(f->s, ENOTTY, "start the restore from a terminal",
			"%s: --shell-job gives it the terminal of the standard input, which is "
			"none",
			open_file_label(f, o));
	return 0;
}

static int check_named(struct file_set *f, const struct open_file *o)
{
	const RegFileEntry *reg = path_of(f, o);
	struct stat st;
	if (!reg)
		return fail(f->s, EBADMSG, "%s: this terminal has no path", open_file_label(f, o));
	int r = path_stat(f, reg->name, 0, &st);
	if (r < 0)
		return fail(f->s, r, "%s: the terminal %s", open_file_label(f, o), reg->name);
	if (!S_ISCHR(st.st_mode) || (uint32_t)st.st_rdev != o->tty->info->rdev)
		return fail(f->s, EINVAL, "%s: %s is not the terminal that was dumped (%u:%u)",
			open_file_label(f, o), reg->name, major(o->tty->info->rdev),
			minor(o->tty->info->rdev));
	return 0;
}

/* Seen before anything is made; one that was hung up keeps its number and shows nowhere. */
static int check_index_free(struct file_set *f, const struct open_file *o)
{
	const RegFileEntry *reg = path_of(f, o);
	unsigned index = o->tty->info->pty->index;
	if (!reg)
		return 0;
	const char *slash = strrchr(reg->name, '/');
	bool in_pts = slash - reg->name >= 4 && memcmp(slash - 4, "/pts", 4) == 0;
	const char *path = arena_printf(&f->s->arena, "%.*s%s/%u", (int)(slash - reg->name),
		reg->name, in_pts ? "" : "/pts", index);
	struct stat st;
	if (path_stat(f, path, AT_SYMLINK_NOFOLLOW, &st) == -ENOENT)
		return 0;
	return fail_remedy(f->s, EEXIST, "end whoever uses that terminal",
		"%s: the pseudo terminal number %u is taken: %s exists", open_file_label(f, o),
		index, path);
}

int tty_check(struct file_set *f, struct open_file *o)
{
	struct tty *t = o->tty;
	o->flags = o->e->tty->flags;
	o->fown = o->e->tty->fown;
	if (o->inherited >= 0)
		return isatty(o->inherited) ? 0
					    : fail(f->s, errno, "%s: descriptor %d of --inherit-fd",
						      open_file_label(f, o), o->inherited);
	if (t->master && t->files.n > 1)
		return fail(f->s, EBADMSG, "%s: a second master of pseudo terminal %u",
			open_file_label(f, o), t->info->pty->index);
	if (f->s->images_only)
		return 0;
	switch (t->info->type) {
	case TTY_TYPE__EXT_TTY:
		return fail_remedy(f->s, ENOENT,
			arena_printf(
				&f->s->arena, "use --inherit-fd fd[N]:%s", tty_inherit_key(f, o)),
			"%s: this terminal was dumped as external", open_file_label(f, o));
	case TTY_TYPE__PTY:
		if (tty_is_for_client(f, t))
			return 0;
		return tty_is_orphan(t) ? check_orphan(f, o) : check_index_free(f, o);
	case TTY_TYPE__CTTY:
		return 0;
	default:
		return check_named(f, o);
	}
}

const char *tty_inherit_key(struct file_set *f, const struct open_file *o)
{
	const TtyInfoEntry *e = o->tty->info;
	return arena_printf(&f->s->arena, "tty[%x:%x]", e->rdev, e->dev);
}

/* --- opening --- */

int tty_open_flags(const struct open_file *o)
{
	return (int)(o->flags & ~(uint32_t)(O_CREAT | O_EXCL | O_TRUNC | O_ASYNC)) | O_NOCTTY |
	       O_CLOEXEC;
}

int tty_settle(struct file_set *f, struct tty *t, int fd)
{
	if (t->settled)
		return 0;
	t->settled = true;
	bool ours = !tty_is_orphan(t); /* the size is that of the caller's window */
	int r = tty_termios_apply(fd, t->info);
	if (r >= 0 && ours)
		r = tty_winsize_apply(fd, t->info);
	if (r >= 0 && ours && t->info->exclusive && ioctl(fd, TIOCEXCL) < 0)
		r = -errno;
	return r < 0 ? fail(f->s, r, "set the parameters of terminal %u", t->info->id) : 0;
}

/* Opening a master again would make another pseudo terminal. */
static int open_again(struct file_set *f, const struct open_file *o, int from, int *ret_fd)
{
	unsigned index;
	char path[32];
	*ret_fd = -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", from);
	if (ioctl(from, TIOCGPTN, &index) < 0)
		*ret_fd = open(path, tty_open_flags(o));
	if (*ret_fd < 0)
		*ret_fd = fcntl(from, F_DUPFD_CLOEXEC, 0);
	return *ret_fd < 0 ? fail(f->s, errno, "%s: open our descriptor %d again",
				     open_file_label(f, o), from)
			   : 0;
}

int tty_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r;
	const struct tty *master = o->tty->peer;
	if (o->inherited < 0 && master && master->files.v[0]->inherited >= 0) {
		r = fd = ioctl(master->files.v[0]->inherited, TIOCGPTPEER, tty_open_flags(o));
		if (r < 0)
			r = fail(f->s, errno, "%s: open the slave of our descriptor %d",
				open_file_label(f, o), master->files.v[0]->inherited);
	} else if (o->inherited >= 0 || tty_is_orphan(o->tty) ||
		   o->tty->info->type == TTY_TYPE__CTTY) {
		r = open_again(f, o, o->inherited >= 0 ? o->inherited : STDIN_FILENO, &fd);
	} else {
		const RegFileEntry *reg = path_of(f, o); /* check_named() has seen it */
		if (!reg)
			return fail(f->s, EBADMSG, "%s: this terminal has no path",
				open_file_label(f, o));
		r = fd = path_open(f, reg->name, tty_open_flags(o));
		if (r < 0)
			r = fail(f->s, r, "%s: open %s", open_file_label(f, o), reg->name);
	}
	if (r >= 0)
		r = tty_settle(f, o->tty, fd);
	if (r >= 0)
		*ret_fd = take_fd(&fd);
	return r;
}
