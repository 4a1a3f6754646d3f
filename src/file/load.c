/*
 * Reading files.img and all that belongs to it, before anything is forked.
 *
 * Whatever can be known to fail later fails here: dangling ids, types that cannot be made, files
 * that are gone or changed, damaged contents. Damage first: the rest is postpone()d.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "file/bpf_map.h"
#include "file/file_extras.h"
#include "file/file_lock.h"
#include "file/restoring.h"
#include "kernel/syscalls.h"
#include "mem/vma.h"
#include "socket/unix.h"

struct open_file *file_find(const struct file_set *f, uint32_t id)
{
	return id_map_get(&f->files, id);
}

const char *file_name(const struct file_set *f, uint32_t id)
{
	const struct open_file *o = file_find(f, id);
	return o && o->e->reg ? o->e->reg->name : "?";
}

/* Of a file that has no descriptor, and a task all the same. */
static const char *use_of_path(const struct file_set *f, uint32_t id)
{
	vec_for_each (&f->tree->tasks, at) {
		const struct task *t = *at;
		if (!task_lives(t))
			continue;
		const char *use = t->fs && t->fs->cwd_id == id	      ? "working directory"
				  : t->fs && t->fs->root_id == id     ? "root directory"
				  : t->mm && t->mm->exe_file_id == id ? "executable"
								      : NULL;
		if (use)
			return arena_printf(&f->s->arena, "pid %d %s", t->vpid, use);
		for (size_t i = 0; t->mm && i < t->mm->n_vmas; i++) {
			const VmaEntry *e = t->mm->vmas[i];
			if (e->shmid == id && e->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED))
				return arena_printf(&f->s->arena, "pid %d mapping %llx", t->vpid,
					(unsigned long long)e->start);
		}
	}
	return NULL;
}

const char *open_file_label(const struct file_set *f, const struct open_file *o)
{
	vec_for_each (&f->tables, t)
		vec_for_each (&(*t)->slots, slot)
			if (slot->file == o)
				return arena_printf(
					&f->s->arena, "pid %d fd %u", (*t)->task->vpid, slot->fd);
	const char *use = use_of_path(f, o->id);
	return use ? use : arena_printf(&f->s->arena, "file %u", o->id);
}

/* The id inside the message of the type must be the same: its first field, after the base. */
static bool ids_agree(const struct open_file *o)
{
	if (!o->type->detail)
		return true;
	const ProtobufCMessage *detail =
		*(ProtobufCMessage *const *)((const char *)o->e + o->type->detail);
	if (!detail)
		return false;
	const ProtobufCFieldDescriptor *id =
		protobuf_c_message_descriptor_get_field_by_name(detail->descriptor, "id");
	return id && *(const uint32_t *)((const char *)detail + id->offset) == o->id;
}

static int add_file(struct file_set *f, const FileEntry *e)
{
	struct session *s = f->s;
	struct open_file *o = arena_new(&s->arena, struct open_file);
	*o = (struct open_file){
		.id = e->id, .e = e, .type = file_type_of(e->type), .fd = -1, .inherited = -1};
	struct open_file *known = file_find(f, e->id);
	if (known && known->e->type == FD_TYPES__TUNF && e->type == FD_TYPES__REG && e->reg) {
		known->path = e->reg; /* the other half: see tun.c */
		return 0;
	}
	if (!e->id || known)
		return fail(s, EBADMSG, "files.img has the id %u twice", e->id);
	if (o->type && !ids_agree(o))
		return fail(s, EBADMSG, "files.img: the entry of %s %u is not complete",
			o->type->name, e->id);
	id_map_put(&s->arena, &f->files, e->id, o);
	*vec_push(&s->arena, &f->all) = o;
	return 0;
}

static bool is_tun(const ProtobufCMessage *m)
{
	return ((const FileEntry *)m)->type == FD_TYPES__TUNF;
}

static int load_files(struct file_set *f)
{
	ProtobufCMessage **all;
	size_t n;
	int r = image_read_all(f->s, IMG_FILES, 0, &all, &n);
	for (int turn = 0; turn < 2; turn++) /* before what has the same id */
		for (size_t i = 0; i < n && r >= 0; i++)
			if (is_tun(all[i]) != turn)
				r = add_file(f, (const FileEntry *)all[i]);
	return r;
}

/* What is mapped and what is executed are files of the images, of a kind that can be. */
static int check_mapped(struct file_set *f, const struct task *t)
{
	for (size_t i = 0; i < t->mm->n_vmas; i++) {
		const VmaEntry *e = t->mm->vmas[i];
		bool file = e->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED);
		if (file && !(e->status & VMA_GUARD) && !file_is_mappable(f, (uint32_t)e->shmid))
			return fail(f->s, EBADMSG,
				"pid %d: file %llu, mapped at %llx, is not in files.img, or cannot "
				"be mapped",
				t->vpid, (unsigned long long)e->shmid,
				(unsigned long long)e->start);
	}
	if (!file_is_mappable(f, t->mm->exe_file_id))
		return fail(f->s, EBADMSG,
			"pid %d: its executable, file %u, is not in files.img, or is none", t->vpid,
			t->mm->exe_file_id);
	return 0;
}

static int load_tasks(struct file_set *f)
{
	int r = 0;
	for (size_t i = 0; i < f->tree->tasks.n && r >= 0; i++) {
		struct task *t = f->tree->tasks.v[i];
		if (!task_lives(t))
			continue;
		r = fd_table_load(f, t);
		if (r >= 0)
			r = fs_load(f, t);
		if (r >= 0 && t->mm)
			r = check_mapped(f, t);
	}
	return r;
}

static void find_inherited(struct file_set *f)
{
	for (size_t i = 0; i < f->all.n && f->inherited.n; i++) {
		struct open_file *o = f->all.v[i];
		const char *key = NULL;
		if (o->type && o->type->inherit_key)
			key = o->type->inherit_key(f, o);
		if (key)
			o->inherited = inherit_find(f, key);
	}
}

static int check_files(struct file_set *f)
{
	int r = 0;
	for (size_t i = 0; i < f->all.n && r >= 0; i++) {
		struct open_file *o = f->all.v[i];
		if (o->type && (o->inherited < 0 || o->type->inherits_itself))
			r = postpone(f->s, o->type->check(f, o));
		if (r >= 0)
			r = postpone(f->s, fown_check(f, o));
	}
	return r;
}

int file_load(struct session *s, struct tree *tree, struct file_set **ret)
{
	struct file_set *f = arena_new(&s->arena, struct file_set);
	*f = (struct file_set){
		.s = s, .tree = tree, .pipes_data = -1, .fifo_data = -1, .bpf_data = -1};
	f->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->root_fd < 0)
		return fail(s, errno, "open the root directory");
	*ret = f;
	int r = inherit_load(f);
	if (r >= 0)
		r = load_files(f);
	if (r >= 0)
		r = file_extras_load(f);
	if (r >= 0)
		r = memfd_load(f);
	if (r >= 0)
		r = load_tasks(f);
	if (r >= 0)
		r = remap_load(f);
	if (r >= 0)
		r = tty_load(f);
	if (r >= 0) {
		find_inherited(f);
		r = unix_load_queues(f);
	}
	if (r >= 0)
		tty_load_ends(f);
	if (r >= 0)
		r = check_files(f);
	if (r >= 0)
		r = bpf_map_load(f);
	if (r >= 0)
		r = postpone(f->s, file_lock_load(f));
	if (r >= 0)
		r = pipe_data_load(f);
	if (r >= 0)
		r = unix_load(f);
	if (r >= 0)
		inherit_warn_unused(f);
	return r;
}

int file_free_number(const struct file_set *f, int after)
{
	uint64_t number = (uint64_t)after + 1;
	while (id_map_get(&f->numbers, number))
		number++;
	return (int)number;
}

bool file_is_mappable(const struct file_set *f, uint32_t id)
{
	const struct open_file *o = file_find(f, id);
	return o && (o->e->type == FD_TYPES__REG || o->e->type == FD_TYPES__MEMFD);
}
