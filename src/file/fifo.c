/*
 * FIFOs: named pipes opened by their path.
 *
 * Two entries: a REG one with path, flags and owner (the FIFO may be a ghost, too), and a FIFO one
 * that ties it to the data of that inode.  An extra end, open for both directions, stands by
 * while an end is opened, so that open(2) neither blocks nor fails nor drops what is queued.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>

#include "file/pipe_data.h"

static bool fifo_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return S_ISFIFO(v->st.stx_mode) && v->fs_type != PIPEFS_MAGIC && !v->path_only &&
	       !(v->flags & O_PATH);
}

static int fifo_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	struct dumped_file *reg = file_dump_new(d, FD_TYPES__REG);
	int r = regular_collect(d, v, reg);
	if (r < 0)
		return r;
	FifoEntry *e = arena_new(&d->s->arena, FifoEntry);
	f->detail = e;
	fifo_entry__init(e);
	e->id = f->id;
	e->pipe_id = (uint32_t)v->st.stx_ino;
	e->has_regf_id = true;
	e->regf_id = reg->id;
	*vec_push(&d->s->arena, &d->files) = reg;
	pipe_data_collect(d, v, /* is_fifo= */ true);
	return 0;
}

/* --- restore --- */

static struct open_file *regular_of(const struct file_set *f, const struct open_file *o)
{
	const FifoEntry *e = o->e->fifo;
	return file_find(f, e->has_regf_id ? e->regf_id : e->id);
}

static int fifo_check(struct file_set *f, struct open_file *o)
{
	struct open_file *reg = regular_of(f, o);
	if (!reg || reg->e->type != FD_TYPES__REG)
		return fail(f->s, EBADMSG, "file %u: the path of this FIFO is not in the images",
			o->id);
	o->flags = reg->e->reg->flags;
	o->fown = reg->e->reg->fown;
	o->pipe = pipe_group_of(f, &f->fifos, o->e->fifo->pipe_id);
	*vec_push(&f->s->arena, &o->pipe->ends) = o;
	return 0;
}

static int fifo_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	struct open_file *reg = regular_of(f, o);
	_cleanup_close_ int helper = -1, fd = -1;
	int r = regular_open(f, reg, O_RDWR | O_NONBLOCK, &helper);
	/* packet mode is no flag of open(2) */
	if (r >= 0)
		r = regular_open(f, reg, o->flags & ~(uint32_t)O_DIRECT, &fd);
	if (r >= 0)
		r = pipe_data_restore(f, o->pipe, f->fifo_data, helper);
	if (r >= 0)
		*ret_fd = take_fd(&fd);
	return r;
}

const struct file_type fifo_type = {
	.type = FD_TYPES__FIFO,
	.name = "FIFO",
	.restored = "named pipes with their data, also removed ones",
	.detail = offsetof(FileEntry, fifo),
	.recognize = fifo_recognize,
	.collect = fifo_collect,
	.check = fifo_check,
	.create = fifo_create,
};
