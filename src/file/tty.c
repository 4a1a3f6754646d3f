/*
 * Open terminals: their dump.
 *
 * An open file is flags, owner, a REG entry for its path, and the id of a record of tty-info.img
 * that all open files of one end of one terminal share.  Everything is asked on the controller's
 * copy of the descriptor; the session and foreground group, which the kernel tells only its
 * members, come from /proc/PID/stat of those (tty_settle.c).  A hung-up terminal has
 * nothing more to tell.
 */
#include "file/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/poll.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/file_extras.h"
#include "kernel/syscalls.h"

static struct tty_kind kind_of(const struct file_view *v)
{
	return tty_kind_of(v->st.stx_rdev_major, v->st.stx_rdev_minor);
}

static dev_t rdev_of(const struct file_view *v)
{
	return makedev(v->st.stx_rdev_major, v->st.stx_rdev_minor);
}

static bool is_external(struct file_dump *d, const struct file_view *v)
{
	return external_find(
		d->s->opt, NULL, "tty[%jx:%jx]", (uintmax_t)rdev_of(v), (uintmax_t)v->dev);
}

static bool tty_recognize(struct file_dump *d, const struct file_view *v)
{
	if (!S_ISCHR(v->st.stx_mode) || v->path_only || v->flags & O_PATH)
		return false;
	struct tty_kind kind = kind_of(v);
	return kind.name && (kind.type != TTY_TYPE__UNKNOWN || is_external(d, v));
}

/* --- which record --- */

static uint32_t pty_index(const struct file_view *v, bool master)
{
	unsigned index;
	if (!master)
		return v->st.stx_rdev_minor;
	return ioctl(v->fd, TIOCGPTN, &index) < 0 ? UINT32_MAX : index;
}

static struct tty_dump *find_record(const struct ttys_dump *ttys, uint32_t id)
{
	vec_for_each (&ttys->all, t)
		if ((*t)->info->id == id)
			return *t;
	return NULL;
}

/* Another terminal of a kind whose record is there already: the reference would share it. */
static struct tty_dump *find_other(const struct ttys_dump *ttys, const struct tty_dump *like)
{
	vec_for_each (&ttys->all, t)
		if ((*t)->info->type == like->info->type && (*t)->device == like->device)
			return *t;
	return NULL;
}

static uint32_t wanted_index(
	struct ttys_dump *ttys, const struct file_view *v, TtyType type, bool master)
{
	switch (type) {
	case TTY_TYPE__PTY:
		return pty_index(v, master);
	case TTY_TYPE__CONSOLE:
		return TTY_INDEX_CONSOLE;
	case TTY_TYPE__VT:
		return TTY_INDEX_VT;
	case TTY_TYPE__CTTY:
		return TTY_INDEX_CTTY;
	case TTY_TYPE__EXT_TTY:
		return TTY_INDEX_EXTERNAL + ttys->n_external;
	default:
		return TTY_INDEX_SERIAL;
	}
}

/* --- what there is to know --- */

/* The device of the terminal itself, whatever name it was opened by. */
static uint64_t real_device(const struct file_view *v)
{
	unsigned dev;
	return ioctl(v->fd, TIOCGDEV, &dev) < 0 ? 0 : dev;
}

/* 1, 0 or -errno. Only hung-up terminals have POLLERR (hung_up_tty_poll()); EIO may mean other things. */
static int is_hung_up(int fd)
{
	int events = sys_poll_now(fd, 0);
	return events < 0 ? events : (events & POLLERR) != 0;
}

/* What devpts_mntget() says where no name leads to the slave, and kernels before Linux 4.13. */
static bool has_no_peer(int err)
{
	return err == ENODEV || err == ENOENT || err == EACCES || err == ENOTTY || err == EINVAL;
}

/* A look at the slave through its master, without opening it (which masters can tell). */
static uint64_t find_devpts(struct file_dump *d, const struct file_view *v)
{
	struct stat st;
	_cleanup_close_ int peer = ioctl(v->fd, TIOCGPTPEER, O_PATH | O_CLOEXEC);
	if (peer < 0 && has_no_peer(errno))
		return 0;
	if (peer >= 0 && fstat(peer, &st) == 0)
		return st.st_dev;
	view_block(d, v, "try again", "%s, whose other end cannot be asked for: %s", v->link,
		strerror(errno));
	return 0;
}

static void read_master(struct file_dump *d, const struct file_view *v, struct tty_dump *t)
{
	int locked = 0, packet = 0;
	pid_t sid = 0, pgrp = 0;
	t->devpts = find_devpts(d, v);
	t->no_peer = !t->devpts;
	t->slaves_closed = view_poll(d, v, 0) & POLLHUP;
	ioctl(v->fd, TIOCGPTLCK, &locked);
	ioctl(v->fd, TIOCGPKT, &packet);
	t->info->locked = locked;
	t->info->packet_mode = packet;
	/* of a session outside the tree as well; those of members are preferred later */
	if (ioctl(v->fd, TIOCGSID, &sid) == 0 && ioctl(v->fd, TIOCGPGRP, &pgrp) == 0) {
		t->info->sid = (uint32_t)sid;
		t->info->pgrp = (uint32_t)pgrp;
	}
}

/* 0 and the record, or it was blocked: *ret NULL. */
static int new_record(struct file_dump *d, const struct file_view *v, TtyType type, bool master,
	uint32_t id, struct tty_dump **ret)
{
	struct tty_dump *t = arena_new(&d->s->arena, struct tty_dump);
	TtyInfoEntry *e = t->info = arena_new(&d->s->arena, TtyInfoEntry);
	tty_info_entry__init(e);
	*ret = NULL;
	t->from = v->from;
	t->link = v->link;
	t->master = master;
	t->device = real_device(v);
	t->devpts = type == TTY_TYPE__PTY && !master ? v->dev : 0;
	e->id = id;
	e->type = type;
	e->rdev = (uint32_t)rdev_of(v);
	e->has_dev = e->has_uid = e->has_gid = true;
	e->dev = (uint32_t)v->dev;
	e->uid = v->st.stx_uid;
	e->gid = v->st.stx_gid;
	int exclusive = 0;
	ioctl(v->fd, TIOCGEXCL, &exclusive);
	e->exclusive = exclusive;
	if (master)
		read_master(d, v, t);
	if (type == TTY_TYPE__PTY) {
		e->pty = arena_new(&d->s->arena, TtyPtyEntry);
		tty_pty_entry__init(e->pty);
		e->pty->index = id / 2;
	}
	int r = tty_params_read(&d->s->arena, v->fd, e);
	if (r == -EIO && type == TTY_TYPE__PTY && !master && is_hung_up(v->fd) > 0) {
		t->hung_up = true;
	} else if (r < 0) {
		view_block(d, v, NULL, "%s, whose parameters cannot be read: %s", v->link,
			strerror(-r));
		return 0;
	}
	*ret = t;
	return 0;
}

static struct ttys_dump *ttys_of(struct file_dump *d)
{
	if (!d->ttys)
		d->ttys = arena_new(&d->s->arena, struct ttys_dump);
	return d->ttys;
}

static int add_record(struct file_dump *d, const struct file_view *v, TtyType type, bool master,
	struct tty_dump **ret)
{
	struct ttys_dump *ttys = ttys_of(d);
	uint32_t index = wanted_index(ttys, v, type, master);
	*ret = NULL;
	if (type == TTY_TYPE__PTY && index > PTY_INDEX_MAX) {
		view_block(d, v, NULL, "%s: images cannot name pseudo terminals above %d", v->link,
			PTY_INDEX_MAX);
		return 0;
	}
	struct tty_dump *old = find_record(ttys, index * 2 + master), *t;
	int r = 0;
	if (old && type == TTY_TYPE__PTY) {
		*ret = old;
		return 0;
	}
	r = new_record(d, v, type, master, index * 2 + master, &t);
	if (r < 0 || !t)
		return r;
	if (old) {
		*ret = find_other(ttys, t);
		if (*ret)
			return 0;
		index = TTY_INDEX_EXTERNAL_MAX + 1 + ttys->n_spare++;
		t->info->id = index * 2;
	}
	ttys->n_external += type == TTY_TYPE__EXT_TTY;
	if (index > TTY_INDEX_MAX ||
		(type == TTY_TYPE__EXT_TTY && index > TTY_INDEX_EXTERNAL_MAX)) {
		view_block(d, v, NULL, "%s: images cannot name so many terminals", v->link);
		return 0;
	}
	*vec_push(&d->s->arena, &ttys->all) = t;
	*ret = t;
	return 0;
}

/* --- what cannot be kept --- */

static bool is_dumpable(
	struct file_dump *d, const struct file_view *v, const struct tty_dump *t, bool hung_up)
{
	int discipline = 0;
	size_t before = d->s->blockers.n;
	if (hung_up && t->info->type != TTY_TYPE__PTY)
		view_block(d, v, NULL, "%s was hung up", v->link);
	if (!hung_up && ioctl(v->fd, TIOCGETD, &discipline) == 0 && discipline)
		view_block(d, v, NULL, "%s has the line discipline %d, whose state cannot be read",
			v->link, discipline);
	if (t->master && t->info->packet_mode && view_poll(d, v, POLLPRI) & POLLPRI)
		view_block(d, v, "try again when it was read",
			"a status byte of packet mode waits to be read from the master of "
			"/dev/pts/%u",
			t->info->pty->index);
	if (t->info->type == TTY_TYPE__PTY && !t->master && t->devpts != v->dev)
		view_block(d, v, NULL,
			"%s of another devpts instance than pid %d fd %d: images cannot tell them "
			"apart",
			v->link, t->from.task->vpid, t->from.number);
	return d->s->blockers.n == before;
}

/* --- the open file --- */

/* A slave is opened by its number; its name need not be reachable for that. */
static int collect_slave_path(struct file_dump *d, const struct file_view *v, RegFileEntry *e)
{
	size_t len = strcspn(v->link, " ");
	char *name = arena_memdup(&d->s->arena, v->link, len + 1);
	name[len] = '\0';
	reg_file_entry__init(e);
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	e->name = name;
	e->has_mode = true;
	e->mode = v->st.stx_mode;
	return fown_dump(d, v, &e->fown);
}

static int collect_path(struct file_dump *d, struct file_view *v, bool slave, uint32_t *ret_id)
{
	struct dumped_file *reg = file_dump_new(d, FD_TYPES__REG);
	int r;
	if (slave && v->link[0] == '/') {
		RegFileEntry *e = reg->detail = arena_new(&d->s->arena, RegFileEntry);
		r = collect_slave_path(d, v, e);
		e->id = reg->id;
	} else {
		r = regular_collect(d, v, reg);
	}
	*vec_push(&d->s->arena, &d->files) = reg;
	*ret_id = reg->id;
	return r;
}

static int tty_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	struct tty_kind kind = kind_of(v);
	TtyType type = is_external(d, v) ? TTY_TYPE__EXT_TTY : kind.type;
	TtyFileEntry *e = f->detail = arena_new(&d->s->arena, TtyFileEntry);
	struct tty_dump *t;
	tty_file_entry__init(e);
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	int r = add_record(d, v, type, kind.master, &t);
	if (r < 0 || !t)
		return r;
	unsigned dev;
	int hung_up = is_hung_up(v->fd);
	if (hung_up < 0 || (!hung_up && ioctl(v->fd, TIOCGDEV, &dev) < 0))
		return fail(d->s, hung_up < 0 ? hung_up : errno, "pid %d fd %d: examine its terminal",
			v->from.task->vpid, v->from.number);
	if (!is_dumpable(d, v, t, hung_up))
		return 0;
	if (t->hung_up && !hung_up) { /* hung up once, and opened again */
		t->hung_up = false;
		t->device = dev;
		r = tty_params_read(&d->s->arena, v->fd, t->info);
	}
	if (r < 0)
		return fail(d->s, r, "pid %d fd %d: read its terminal", v->from.task->vpid,
			v->from.number);
	if (hung_up)
		file_extra_make(d, f)->has_hung_up = file_extra_make(d, f)->hung_up = true;
	e->tty_info_id = t->info->id;
	if (type != TTY_TYPE__EXT_TTY) {
		e->has_regf_id = true;
		r = collect_path(d, v, type == TTY_TYPE__PTY && !kind.master, &e->regf_id);
	}
	if (r >= 0)
		r = fown_dump(d, v, &e->fown);
	f->from = v->from;
	*vec_push(&d->s->arena, &t->files) = f;
	return r;
}

const struct file_type tty_type = {
	.type = FD_TYPES__TTY,
	.name = "terminal",
	.restored = "pairs of pseudo terminals with settings, size, sessions, data; "
		"consoles",
	.limits = "other line disciplines; a status byte of packet mode that waits. A "
		"terminal from outside needs `--shell-job` or `--external tty[...]`",
	.detail = offsetof(FileEntry, tty),
	.recognize = tty_recognize,
	.collect = tty_collect,
	.check = tty_check,
	.inherits_itself = true,
	.inherit_key = tty_inherit_key,
	.create = tty_create,
};
