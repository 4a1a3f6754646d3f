/*
 * What the controller does to make open files, as text: for restore --explain, which makes none.
 *
 * The order is that of the restore; of flags and positions only what says how a path is opened.
 */
#include "engine/explain.h"

#include <fcntl.h>

#include "file/pipe_data.h"
#include "file/restoring.h"

/* The REG entry that says where it is, which may be its own. NULL: it has no path. */
static const struct open_file *path_of(const struct file_set *f, const struct open_file *o)
{
	const FifoEntry *fifo = o->e->type == FD_TYPES__FIFO ? o->e->fifo : NULL;
	if (fifo)
		return file_find(f, fifo->has_regf_id ? fifo->regf_id : fifo->id);
	return o->e->type == FD_TYPES__REG ? o : NULL;
}

const char *open_file_text(const struct file_set *f, const struct open_file *o)
{
	const struct open_file *path = path_of(f, o);
	if (path)
		return path->e->reg->name;
	return o->e->type == FD_TYPES__PIPE
		       ? arena_printf(&f->s->arena, "pipe:[%u]", o->e->pipe->pipe_id)
		       : arena_printf(&f->s->arena, "%s %u", o->type->name, o->id);
}

static void explain_open(struct file_set *f, const struct open_file *path)
{
	static const char *const access[] = {
		"to read", "to write", "to read and write", "for ioctl"};
	const RegFileEntry *e = path->e->reg;
	const char *how = e->flags & O_PATH ? "by O_PATH" : access[e->flags & O_ACCMODE];
	if (path->remap && path->remap->ghost)
		(void)ghost_create_all(f); /* which is told, too */
	if (path->remap && path->remap->type == REMAP_TYPE__LINKED)
		explain_act("link %s to %s for a moment", path->remap->link, e->name);
	if (e->pos && e->pos != UINT64_MAX)
		explain_act("open %s %s, at %ju", e->name, how, (uintmax_t)e->pos);
	else
		explain_act("open %s %s", e->name, how);
}

void file_explain(struct file_set *f, struct open_file *o)
{
	const struct open_file *path = path_of(f, o);
	if (o->prepared)
		return;
	o->prepared = true;
	if (o->inherited >= 0)
		explain_act("take our descriptor %d for %s", o->inherited, open_file_text(f, o));
	else if (path)
		explain_open(f, path);
	else if (!o->pipe || !o->pipe->filled)
		explain_act("make %s", open_file_text(f, o));
	if (o->pipe)
		pipe_data_explain(o->pipe);
}

void file_explain_links(const struct file_set *f)
{
	vec_for_each (&f->links, link)
		explain_act("unlink %s", *link);
}
