/* Reading fdinfo-<files_id>.img: which numbers a table has, and for which open files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "file/fd_table.h"
#include "file/restoring.h"
#include "kernel/procfs.h"

static int by_number(const void *a, const void *b)
{
	const struct fd_slot *x = a, *y = b;
	return (x->fd > y->fd) - (x->fd < y->fd);
}

static int unsupported(struct file_set *f, const struct task *t, const FdinfoEntry *e)
{
	const ProtobufCEnumValue *value =
		protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, e->type);
	return fail(f->s, EOPNOTSUPP, "pid %d fd %u: files of type %s are not supported yet",
		t->vpid, e->fd, value ? value->name : "unknown");
}

static int add_slot(struct file_set *f, struct fd_table *table, const FdinfoEntry *e)
{
	const struct task *t = table->task;
	struct open_file *o = file_find(f, e->id);
	if (!o || o->e->type != e->type)
		return fail(f->s, EBADMSG, "pid %d fd %u: file %u is not in files.img", t->vpid,
			e->fd, e->id);
	if (!o->type)
		return unsupported(f, t, e);
	if (e->fd >= INT32_MAX)
		return fail(f->s, EBADMSG, "pid %d: descriptor %u in its image", t->vpid, e->fd);
	*vec_push(&f->s->arena, &table->slots) =
		(struct fd_slot){.fd = e->fd, .close_on_exec = e->flags & FD_CLOEXEC, .file = o};
	id_map_put(&f->s->arena, &f->numbers, e->fd, o);
	o->uses_left++;
	return 0;
}

static int check_numbers(struct file_set *f, const struct fd_table *table)
{
	int pid = table->task->vpid;
	for (size_t i = 1; i < table->slots.n; i++)
		if (table->slots.v[i].fd == table->slots.v[i - 1].fd)
			return fail(f->s, EBADMSG, "pid %d: fd %u is in its image twice", pid,
				table->slots.v[i].fd);
	if (!table->slots.n || table->slots.v[table->slots.n - 1].fd < 1024)
		return 0;
	uint32_t highest = table->slots.v[table->slots.n - 1].fd;
	_cleanup_proc_buf_ struct proc_buf buf = {0};
	int r = proc_read(f->s, "/proc/sys/fs/nr_open", &buf);
	if (r >= 0 && strtoul(buf.data, NULL, 10) <= highest)
		return fail_remedy(f->s, EMFILE, "raise /proc/sys/fs/nr_open",
			"pid %d fd %u: this kernel allows no such number", pid, highest);
	return r;
}

int fd_table_load(struct file_set *f, struct task *t)
{
	if (shares_files(t)) {
		t->files = t->parent->files;
		return 0;
	}
	struct fd_table *table = arena_new(&f->s->arena, struct fd_table);
	table->task = t;
	t->files = table;
	*vec_push(&f->s->arena, &f->tables) = table;
	ProtobufCMessage **all;
	size_t n;
	uint32_t id = t->ids ? t->ids->files_id : (uint32_t)t->vpid;
	int r = image_read_all(f->s, IMG_FDINFO, id, &all, &n);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = postpone(f->s, add_slot(f, table, (const FdinfoEntry *)all[i]));
	if (r < 0)
		return r;
	if (table->slots.n)
		qsort(table->slots.v, table->slots.n, sizeof(*table->slots.v), by_number);
	return postpone(f->s, check_numbers(f, table));
}
