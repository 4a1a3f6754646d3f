/*
 * Open files in the controller: each is made once, then passed on.
 *
 * States of an open_file: not made (fd -1, no holder) -> here (fd) -> with a task (holder).  The
 * controller gives up its own descriptor early, so it never holds many; a file that another
 * table shares is taken back from the stub that has it, by pidfd_getfd(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/explain.h"
#include "file/bpf_map.h"
#include "file/restoring.h"
#include "kernel/syscalls.h"
#include "socket/inet.h"
#include "socket/unix.h"

enum {
	KEPT_MAX = 256,
	/* what F_SETFL can change; O_ASYNC is for the task: the kernel keeps the descriptor's
	   number */
	SETTABLE = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME,
};

static int take_from_holder(struct file_set *f, const struct open_file *o)
{
	_cleanup_close_ int pidfd = sys_pidfd_open(o->holder->task->pid, 0);
	int fd = pidfd < 0 ? pidfd : sys_pidfd_getfd(pidfd, (int)o->holder_fd);
	return fd < 0 ? fail(f->s, fd, "pid %d fd %u: get it", o->holder->task->vpid, o->holder_fd)
		      : fd;
}

static int set_flags(struct file_set *f, const struct open_file *o)
{
	int have = fcntl(o->fd, F_GETFL), want = (int)o->flags & SETTABLE;
	if (have < 0)
		return fail(f->s, errno, "%s: get flags", open_file_label(f, o));
	if ((have & SETTABLE) == want)
		return 0;
	if (fcntl(o->fd, F_SETFL, (have & ~SETTABLE) | want) < 0)
		return fail(f->s, errno, "%s: set flags %o", open_file_label(f, o), want);
	return 0;
}

static int prepare(struct file_set *f, struct open_file *o)
{
	if (o->prepared || o->flags & O_PATH)
		return 0;
	o->prepared = true;
	int r = o->type->sets_flags ? 0 : set_flags(f, o);
	if (r >= 0 && o->fown && o->fown->signum && fcntl(o->fd, F_SETSIG, o->fown->signum) < 0)
		r = fail(f->s, errno, "%s: set its signal %u", open_file_label(f, o),
			o->fown->signum);
	return r;
}

int file_get(struct file_set *f, struct open_file *o, int *ret_fd)
{
	int r = 0;
	if (o->fd < 0 && o->holder) {
		r = o->fd = take_from_holder(f, o);
		f->n_kept += r >= 0;
	} else if (o->fd < 0 && o->inherited >= 0 && !o->type->inherits_itself) {
		r = inherit_dup(f, o, &o->fd);
		o->prepared = true;
	} else if (o->fd < 0) {
		r = o->type->create(f, o, &o->fd);
	}
	if (r >= 0)
		r = prepare(f, o);
	*ret_fd = o->fd;
	return r;
}

void file_drop(struct file_set *f, struct open_file *o)
{
	if (o->fd < 0 || !o->holder)
		return;
	close(take_fd(&o->fd));
	f->n_kept--;
}

void file_put(struct file_set *f, struct fd_table *holder, const struct fd_slot *slot)
{
	struct open_file *o = slot->file;
	bool was_kept = o->holder;
	if (!o->holder || !slot->temporary) {
		o->holder = holder;
		o->holder_fd = slot->fd;
	}
	o->uses_left--;
	if (o->fd < 0)
		return;
	bool keep = o->uses_left && f->n_kept - was_kept < KEPT_MAX;
	f->n_kept += (unsigned)keep - was_kept;
	if (!keep)
		close(take_fd(&o->fd));
}

void file_passed(struct file_set *f, struct open_file *o)
{
	o->uses_left--;
	file_drop(f, o);
}

int file_open(struct file_set *f, uint32_t id, int flags, int *ret_fd)
{
	struct open_file *o = file_find(f, id);
	if (!o)
		return fail(f->s, EBADMSG, "file %u is not in files.img", id);
	if (f->s->opt->explain) { /* nothing may be made: anything will do */
		int r = o->remap && o->remap->ghost ? ghost_create_all(f) : 0;
		if (r < 0)
			return r;
		explain_act("open %s", open_file_text(f, o));
		*ret_fd = fcntl(f->root_fd, F_DUPFD_CLOEXEC, 0);
		return *ret_fd < 0 ? fail(f->s, errno, "keep the root directory") : 0;
	}
	if (flags == -1)
		flags = (int)o->flags;
	if (o->e->type == FD_TYPES__REG)
		return regular_open(f, o, (uint32_t)flags, ret_fd);
	if (o->e->type == FD_TYPES__MEMFD)
		return memfd_open(f, o, flags, ret_fd);
	return fail(f->s, EBADMSG, "file %u cannot be mapped or executed", id);
}

static void release(struct file_set *f)
{
	vec_for_each (&f->all, o)
		if ((*o)->fd >= 0)
			close(take_fd(&(*o)->fd));
	memfd_release(f);
	bpf_map_release(f);
	tty_release(f);
	unix_release(f);
	int *owned[] = {&f->root_fd, &f->pipes_data, &f->fifo_data, &f->bpf_data};
	for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++)
		if (*owned[i] >= 0)
			close(take_fd(owned[i]));
}

static int finish_one(struct file_set *f, struct open_file *o)
{
	int fd;
	if (explained(f->s, "settle %s", open_file_text(f, o)))
		return 0;
	int r = file_get(f, o, &fd);
	if (r >= 0)
		r = o->type->finish(f, o, fd);
	file_drop(f, o);
	return r;
}

int file_restore_finish(struct file_set *f)
{
	ghost_remove_all(f);
	ghost_explain_removal(f);
	int r = ghost_extras_finish(f);
	for (size_t i = 0; i < f->all.n && r >= 0; i++) {
		struct open_file *o = f->all.v[i];
		if (o->type && o->type->finish && (o->holder || o->fd >= 0))
			r = finish_one(f, o);
	}
	return r < 0 || f->s->opt->explain ? r : tcp_restore_hold(f);
}

void file_restore_done(struct file_set *f)
{
	tcp_restore_done(f);
	vec_for_each (&f->links, link)
		if (unlinkat(f->root_fd, path_relative(*link), 0) < 0 && errno != ENOENT)
			log_warn(f->s, "cannot remove %s: %m", *link);
	vec_for_each (&f->all, at) {
		struct open_file *o = *at;
		int fd;
		if (o->type && o->type->drain && (o->holder || o->fd >= 0) &&
			file_get(f, o, &fd) >= 0) {
			o->type->drain(f, o, fd);
			file_drop(f, o);
		}
	}
	release(f);
}

void file_restore_undo(struct file_set *f)
{
	tcp_restore_undo(f);
	unix_undo(f);
	ghost_remove_all(f);
	ghost_extras_release(f);
	release(f);
}
