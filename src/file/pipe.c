/*
 * Pipes: both ends of a pipe(2), and copies of them opened through /proc/PID/fd.
 *
 * Ends of one pipe have the same inode, which is the pipe_id.  At restore one pipe2() makes the
 * first reading and the first writing end that no open(2) made (those lack O_LARGEFILE); any
 * other end is opened through /proc/self/fd with its flags.  All ends of a pipe are made at once,
 * before the data goes in and an end that nobody has is closed.  A pipe that --inherit-fd replaces
 * is not made; each end is opened again from our descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <unistd.h>

#include "file/file_extras.h"
#include "file/pipe_data.h"

enum {
	RAW_O_LARGEFILE = 0100000,
	USUAL_MODE = 0600, /* of a new one */
};

static bool pipe_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return S_ISFIFO(v->st.stx_mode) && v->fs_type == PIPEFS_MAGIC;
}

static int pipe_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	PipeEntry *e = arena_new(&d->s->arena, PipeEntry);
	f->detail = e;
	pipe_entry__init(e);
	e->id = f->id;
	e->pipe_id = (uint32_t)v->st.stx_ino;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	pipe_data_collect(d, v, /* is_fifo= */ false);
	if (!v->inode->owner_kept)
		file_extra_keep_owner(d, v, f, USUAL_MODE);
	v->inode->owner_kept = true;
	return fown_dump(d, v, &e->fown);
}

/* --- restore --- */

static int pipe_check(struct file_set *f, struct open_file *o)
{
	const PipeEntry *e = o->e->pipe;
	o->flags = e->flags;
	o->fown = e->fown;
	o->pipe = pipe_group_of(f, &f->pipes, e->pipe_id);
	*vec_push(&f->s->arena, &o->pipe->ends) = o;
	return 0;
}

/* Made by pipe(2) itself. */
static bool is_original(const struct open_file *o, int access)
{
	return !(o->flags & (RAW_O_LARGEFILE | O_PATH)) && (int)(o->flags & O_ACCMODE) == access;
}

static const char *pipe_inherit_key(struct file_set *f, const struct open_file *o)
{
	return arena_printf(&f->s->arena, "pipe:[%u]", o->e->pipe->pipe_id);
}

/* Packet mode is no flag of open(2). */
static int reopen(struct file_set *f, const struct open_file *o, int fd, int *ret_fd)
{
	return inherit_reopen(f, o, fd, (int)o->flags & ~O_DIRECT, ret_fd);
}

/*
 * An end of a pipe that goes on outside: its other end is not ours to make. What was left in the
 * pipe was dumped if the tree could read it, and nobody else has it now.
 */
static int create_inherited(struct file_set *f, struct open_file *o, int *ret_fd)
{
	_cleanup_close_ int fd = -1, writer = -1;
	int r = reopen(f, o, o->inherited, &fd);
	if (r >= 0 && o->pipe->queue.n && !o->pipe->filled)
		r = inherit_reopen(f, o, o->inherited, O_WRONLY | O_NONBLOCK, &writer);
	o->pipe->size = 0; /* its capacity is its owner's */
	if (r >= 0 && writer >= 0)
		r = pipe_data_restore(f, o->pipe, f->pipes_data, writer);
	if (r >= 0)
		*ret_fd = take_fd(&fd);
	return r;
}

/* Entries that no table has get no end. */
static int make_ends(struct file_set *f, struct pipe_group *g, int pair[2])
{
	bool taken[2] = {false, false};
	vec_for_each (&g->ends, at) {
		struct open_file *o = *at;
		int side = (o->flags & O_ACCMODE) != O_RDONLY, r = 0;
		if (!o->uses_left)
			continue;
		if (!taken[side] && is_original(o, side ? O_WRONLY : O_RDONLY)) {
			taken[side] = true;
			o->fd = fcntl(pair[side], F_DUPFD_CLOEXEC, 0);
			if (o->fd < 0)
				r = fail(f->s, errno, "keep an end of a pipe");
		} else {
			r = reopen(f, o, pair[side], &o->fd);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int give_owner(struct file_set *f, const struct pipe_group *g, int fd)
{
	int r = 0;
	for (size_t i = 0; i < g->ends.n && r >= 0; i++)
		r = file_extra_give_owner(f, g->ends.v[i], fd);
	return r;
}

static int pipe_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	int pair[2];
	if (o->inherited >= 0)
		return create_inherited(f, o, ret_fd);
	if (pipe2(pair, O_CLOEXEC) < 0)
		return fail(f->s, errno, "make a pipe");
	int r = make_ends(f, o->pipe, pair);
	if (r >= 0)
		r = pipe_data_restore(f, o->pipe, f->pipes_data, pair[1]);
	if (r >= 0)
		r = give_owner(f, o->pipe, pair[0]);
	close(pair[0]);
	close(pair[1]);
	*ret_fd = o->fd;
	return r;
}

const struct file_type pipe_type = {
	.type = FD_TYPES__PIPE,
	.name = "pipe",
	.restored = "both ends in any number of tasks, data, packets, capacity, flags, owner, "
		    "mode; ends "
		    "opened again by /proc",
	.detail = offsetof(FileEntry, pipe),
	.recognize = pipe_recognize,
	.collect = pipe_collect,
	.inherits_itself = true,
	.check = pipe_check,
	.inherit_key = pipe_inherit_key,
	.create = pipe_create,
};
