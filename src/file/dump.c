/*
 * The dump of open files: ids, the list of all entries, and what is written at the end.
 *
 * Equal id means equal open file.  Descriptors are told apart by description.c; mappings,
 * executables and directories are paths only (paths.c).
 */
#include "file/dumping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/share.h"
#include "file/description.h"
#include "file/file_extras.h"
#include "file/file_lock.h"
#include "file/fs.h"
#include "file/fd_table.h"
#include "file/tty.h"
#include "file/unsupported.h"
#include "socket/inet.h"
#include "socket/sock_memory.h"

int file_dump_begin(struct session *s, struct tree *tree, bool dry, struct file_dump **ret)
{
	struct file_dump *d = arena_new(&s->arena, struct file_dump);
	*d = (struct file_dump){
		.s = s,
		.tree = tree,
		.dry = dry,
		.next_id = 1,
		.next_ghost = 1,
		.proc_self_fdinfo = -1,
		.desks = {DESK_NONE, DESK_NONE},
		.pipes_data = IMAGE_WRITER_NONE,
		.fifo_data = IMAGE_WRITER_NONE,
		.sk_queues = IMAGE_WRITER_NONE,
		.bpf_data = IMAGE_WRITER_NONE,
		.scratch = {-1, -1},
	};
	FownEntry *nobody = arena_new(&s->arena, FownEntry);
	fown_entry__init(nobody);
	d->nobody = nobody;
	d->proc_self_fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
	if (d->proc_self_fd < 0)
		return fail(s, errno, "open /proc/self/fd");
	d->proc_self_fdinfo = open("/proc/self/fdinfo", O_PATH | O_CLOEXEC);
	if (d->proc_self_fdinfo < 0)
		return fail(s, errno, "open /proc/self/fdinfo");
	*ret = d;
	return file_lock_begin(d);
}

uint64_t file_dump_predicted(const struct file_dump *d)
{
	return d->predicted;
}

void file_dump_later(
	struct file_dump *d, int (*write)(struct file_dump *d, void *object), void *object)
{
	if (!d->dry)
		*vec_push(&d->s->arena, &d->later) = (struct later){write, object};
}

void file_dump_when_all(
	struct file_dump *d, int (*act)(struct file_dump *d, void *object), void *object)
{
	*vec_push(&d->s->arena, &d->when_all) = (struct later){act, object};
}

struct dumped_file *file_dump_new(struct file_dump *d, FdTypes type)
{
	struct dumped_file *f = arena_new(&d->s->arena, struct dumped_file);
	f->kind = type;
	f->type = file_type_of(type);
	f->id = d->next_id++;
	return f;
}

static const struct file_type *recognize(struct file_dump *d, const struct file_view *v)
{
	for (const struct file_type *const *type = file_types; *type; type++)
		if ((*type)->recognize(d, v))
			return *type;
	return NULL;
}

static int collect_new(struct file_dump *d, struct file_view *v, struct dumped_file **ret)
{
	const struct file_type *type = v->type ? v->type : recognize(d, v);
	struct dumped_file *f = file_dump_new(d, type ? type->type : FD_TYPES__UND);
	f->link = v->link;
	f->inode = v->inode;
	f->mnt_id = (int)v->st.stx_mnt_id;
	if (!type) {
		int r = ext_file_collect(d, v, f);
		if (r < 0 && r != -ENOTSUP)
			return r;
		if (r < 0)
			unsupported_block(d, v);
	} else {
		size_t blockers = d->s->blockers.n;
		int r = type->collect(d, v, f);
		if (r < 0)
			return r;
		if (d->s->blockers.n > blockers)
			f->kind = FD_TYPES__UND;
	}
	if (f->kind != FD_TYPES__UND) {
		*vec_push(&d->s->arena, &d->files) = f;
		*vec_push(&d->s->arena, &v->inode->files) = f;
	}
	*ret = f;
	return 0;
}

/* Anonymous files share one inode: some types know better what tells theirs apart. */
uint64_t file_own_key(struct file_dump *d, struct file_view *v)
{
	if (strncmp(v->link, "anon_inode:", 11) != 0)
		return 0;
	v->type = recognize(d, v);
	return v->type && v->type->key ? v->type->key(d, v) : 0;
}

int file_dump_view(struct file_dump *d, struct file_view *v, struct dumped_file **ret)
{
	if (v->path_only) {
		*ret = file_find_path(v);
		return *ret ? 0 : collect_new(d, v, ret);
	}
	int r = v->description ? 0 : description_find(d, v);
	if (r < 0)
		return r;
	*ret = description_file(v->description);
	if (*ret)
		return 0;
	r = collect_new(d, v, ret);
	if (r < 0)
		return r;
	(*ret)->from = v->from;
	description_set_file(v->description, *ret);
	return 0;
}

uint32_t file_dump_plugin_mapping(struct file_dump *d, const char *name, uint32_t flags)
{
	struct dumped_file *f = file_dump_new(d, FD_TYPES__REG);
	RegFileEntry *e = arena_new(&d->s->arena, RegFileEntry);
	reg_file_entry__init(e);
	e->id = f->id;
	e->flags = flags;
	e->fown = (FownEntry *)(uintptr_t)d->nobody;
	e->name = (char *)(uintptr_t)name;
	f->detail = e;
	*vec_push(&d->s->arena, &d->files) = f;
	return f->id;
}

/* --- descriptor tables --- */

void file_dump_collect(struct task *t, struct program *p)
{
	fd_table_collect(t, p);
}

int file_dump_take(struct task *t, const struct program *p)
{
	return fd_table_take(t, p);
}

int file_dump_store(struct file_dump *d, struct task *t)
{
	int r = fd_table_store(d, t);
	return r < 0 ? r : fs_store(d, t);
}

int file_dump_check(struct file_dump *d)
{
	int r = 0;
	for (const struct file_type *const *type = file_types; *type && r >= 0; type++)
		if ((*type)->complete)
			r = (*type)->complete(d);
	if (r >= 0)
		r = tty_dump_settle(d);
	for (size_t i = 0; i < d->when_all.n && r >= 0; i++)
		r = d->when_all.v[i].act(d, d->when_all.v[i].object);
	return r < 0 ? r : file_lock_check(d);
}

/* --- the images --- */

static int write_files(struct file_dump *d)
{
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, d->s->images, IMG_FILES, 0);
	vec_for_each (&d->files, it) {
		const struct dumped_file *f = *it;
		FileEntry e = FILE_ENTRY__INIT;
		e.type = f->kind;
		e.id = f->id;
		if (f->type->detail)
			memcpy((char *)&e + f->type->detail, &f->detail, sizeof(f->detail));
		int r = image_write(d->s, &w, &e.base);
		if (r < 0)
			return r;
	}
	return image_writer_close(d->s, &w);
}

static int write_remaps(struct file_dump *d)
{
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, d->s->images, IMG_REMAP_FPATH, 0);
	vec_for_each (&d->remaps, e) {
		int r = image_write(d->s, &w, &(*e)->base);
		if (r < 0)
			return r;
	}
	return image_writer_close(d->s, &w);
}

static int write_memfds(struct file_dump *d)
{
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, d->s->images, IMG_MEMFD, 0);
	vec_for_each (&d->memfds, e) {
		int r = image_write(d->s, &w, &(*e)->base);
		if (r < 0)
			return r;
	}
	return image_writer_close(d->s, &w);
}

static int write_contents(struct file_dump *d)
{
	image_writer_init(&d->pipes_data, d->s->images, IMG_PIPES_DATA, 0);
	image_writer_init(&d->fifo_data, d->s->images, IMG_FIFO_DATA, 0);
	image_writer_init(&d->sk_queues, d->s->images, IMG_SK_QUEUES, 0);
	image_writer_init(&d->bpf_data, d->s->images, IMG_BPFMAP_DATA, 0);
	int r = 0;
	for (size_t i = 0; i < d->later.n && r >= 0; i++)
		r = d->later.v[i].act(d, d->later.v[i].object);
	if (r >= 0)
		r = image_writer_close(d->s, &d->pipes_data);
	if (r >= 0)
		r = image_writer_close(d->s, &d->fifo_data);
	if (r >= 0)
		r = image_writer_close(d->s, &d->sk_queues);
	if (r >= 0)
		r = image_writer_close(d->s, &d->bpf_data);
	image_writer_release(&d->pipes_data);
	image_writer_release(&d->fifo_data);
	image_writer_release(&d->sk_queues);
	image_writer_release(&d->bpf_data);
	return r;
}

static void release(struct file_dump *d)
{
	vec_for_each (&d->handle_mounts, m)
		close(m->fd);
	d->handle_mounts.n = 0;
	struct desk *desks = d->desks;
	int *owned[] = {&d->proc_self_fd, &d->proc_self_fdinfo, &d->scratch[0], &d->scratch[1],
		&desks[0].fd, &desks[0].fdinfo, &desks[0].link, &desks[1].fd, &desks[1].fdinfo,
		&desks[1].link};
	for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++)
		if (*owned[i] >= 0)
			close(take_fd(owned[i]));
	vec_for_each (&d->kept, fd)
		close(*fd);
	d->kept.n = 0;
	sock_memory_close(d);
}

static int write_task(struct session *s, void *arg, size_t i)
{
	const struct task *t = ((const struct tree *)arg)->tasks.v[i];
	int r = task_lives(t) ? fd_table_write(s, t) : 0;
	return r >= 0 && task_lives(t) ? fs_write(s, t) : r;
}

int file_dump_terminals(struct file_dump *d)
{
	return d->ttys ? pty_data_write(d) : 0;
}

int file_dump_finish(struct file_dump *d)
{
	if (d->dry) {
		release(d);
		return 0;
	}
	/* Links first: one that cannot be made becomes a ghost, with content of its own. */
	int r = link_remap_make_all(d);
	if (r >= 0)
		r = write_contents(d);
	if (r >= 0)
		r = write_files(d);
	if (r >= 0)
		r = file_extras_write(d);
	if (r >= 0)
		r = write_remaps(d);
	if (r >= 0)
		r = write_memfds(d);
	if (r >= 0)
		r = file_lock_write(d);
	if (r >= 0)
		r = share_out(d->s, d->tree->tasks.n, write_task, d->tree);
	release(d);
	return r;
}

void file_dump_resume(struct file_dump *d)
{
	link_remap_done(d);
	tcp_dump_undo(d);
	tun_dump_resume(d);
}

void file_dump_done(struct file_dump *d)
{
	link_remap_done(d);
	tcp_dump_done(d);
}

void file_dump_undo(struct file_dump *d)
{
	link_remap_undo(d);
	release(d);
}
