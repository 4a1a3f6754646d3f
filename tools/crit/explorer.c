/* See explore.h. */
#include <errno.h>
#include <string.h>

#include "crit.h"
#include "explore.h"
#include "image/dir.h"

static int load_task(struct explorer *x, const PstreeEntry *e)
{
	ProtobufCMessage *core = NULL;
	int err = image_read_one_at(x->s, x->dir, IMG_CORE, e->pid, &core);
	if (err < 0 && err != -ENOENT)
		return err;
	*vec_push(&x->s->arena, &x->tasks) = (struct explored_task){.pid = e->pid,
		.parent = e->ppid,
		.pgid = e->pgid,
		.sid = e->sid,
		.entry = e,
		.core = (const CoreEntry *)core};
	return 0;
}

int explorer_open(struct session *s, const char *path, struct explorer *x)
{
	*x = (struct explorer){.s = s};
	int err = image_dir_open(s, path, &x->dir);
	if (err < 0)
		return err;
	s->images = x->dir;
	ProtobufCMessage **entries = NULL;
	size_t n = 0;
	err = image_read_all(s, IMG_PSTREE, 0, &entries, &n);
	if (err >= 0 && !n)
		err = fail_remedy(s, ENOENT, "name the directory of a complete dump",
			"%s: no pstree.img with tasks", path);
	for (size_t i = 0; i < n && err >= 0; i++)
		err = load_task(x, (const PstreeEntry *)entries[i]);
	if (err < 0)
		return err;
	return image_read_all(s, IMG_FILES, 0, (ProtobufCMessage ***)&x->files, &x->n_files);
}

void explorer_close(struct explorer *x)
{
	image_dir_close(x->dir);
}

/* The image of one record; *ret NULL if it is missing. */
static int read_optional(struct explorer *x, enum image_type type, uint64_t id, void *ret)
{
	ProtobufCMessage *m = NULL;
	int err = image_read_one_at(x->s, x->dir, type, id, &m);
	*(ProtobufCMessage **)ret = m;
	return err == -ENOENT ? 0 : err;
}

int explore_fds(
	struct explorer *x, const struct explored_task *t, FdinfoEntry ***ret, size_t *ret_n)
{
	TaskKobjIdsEntry *ids;
	*ret = NULL;
	*ret_n = 0;
	int err = read_optional(x, IMG_IDS, t->pid, &ids);
	if (err < 0 || !ids)
		return err;
	x->s->images = x->dir;
	return image_read_all(x->s, IMG_FDINFO, ids->files_id, (ProtobufCMessage ***)ret, ret_n);
}

int explore_fs(struct explorer *x, const struct explored_task *t, FsEntry **ret)
{
	return read_optional(x, IMG_FS, t->pid, ret);
}

int explore_mm(struct explorer *x, const struct explored_task *t, MmEntry **ret)
{
	return read_optional(x, IMG_MM, t->pid, ret);
}

const FileEntry *explore_find_file(const struct explorer *x, uint32_t id)
{
	for (size_t i = 0; i < x->n_files; i++)
		if (x->files[i]->id == id)
			return x->files[i];
	return NULL;
}

static const char *unix_label(struct arena *a, const UnixSkEntry *u)
{
	if (!u)
		return "unix[?]";
	/* An abstract name begins with a NUL; it is shown as @, as ss and netstat do. */
	char *name = arena_alloc(a, u->name.len + 1);
	for (size_t i = 0; i < u->name.len; i++)
		name[i] = u->name.data[i] ? (char)u->name.data[i] : '@';
	return arena_printf(a, "unix[%u (%u)%s%s]", u->ino, u->peer, u->name.len ? " " : "", name);
}

const char *explore_file(const struct explorer *x, uint32_t id)
{
	const FileEntry *f = explore_find_file(x, id);
	struct arena *a = &x->s->arena;
	if (!f)
		return "unknown path";
	switch (f->type) {
	case FD_TYPES__REG:
		return f->reg ? f->reg->name : "unknown path";
	case FD_TYPES__PIPE:
		return f->pipe ? arena_printf(a, "pipe[%u]", f->pipe->pipe_id) : "pipe[?]";
	case FD_TYPES__UNIXSK:
		return unix_label(a, f->usk);
	default: {
		const ProtobufCEnumValue *v =
			protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, f->type);
		return arena_printf(a, "%s.%u", v ? v->name : "?", id);
	}
	}
}

/* Numbers segments from 1 on, as they come. */
static unsigned segment_number(struct explorer *x, uint64_t shmid)
{
	for (size_t i = 0; i < x->segments.n; i++)
		if (x->segments.v[i] == shmid)
			return (unsigned)i + 1;
	*vec_push(&x->s->arena, &x->segments) = shmid;
	return (unsigned)x->segments.n;
}

static const char *vma_text(struct explorer *x, const VmaEntry *v)
{
	struct arena *a = &x->s->arena;
	if (v->status & VMA_AREA_SYSVIPC)
		return arena_printf(a, " ips[%x]", segment_number(x, v->shmid));
	if (v->status & VMA_ANON_SHARED)
		return arena_printf(a, " shmem[%x]", segment_number(x, v->shmid));
	if (v->status & VMA_AREA_SOCKET)
		return arena_printf(a, " packet[%x]", segment_number(x, v->shmid));
	if (v->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED)) {
		const char *file = explore_file(x, (uint32_t)v->shmid);
		const char *shared = v->status & VMA_FILE_SHARED ? " (s)" : "";
		return v->pgoff ? arena_printf(a, " %s + %#jx%s", file, (uintmax_t)v->pgoff, shared)
				: arena_printf(a, " %s%s", file, shared);
	}
	if (v->status & VMA_AREA_STACK)
		return " [stack]";
	if (v->status & VMA_AREA_VSYSCALL)
		return " [vsyscall]";
	if (v->status & VMA_AREA_VDSO)
		return " [vdso]";
	return v->flags & 0x100 ? " [stack?]" : "";
}

const char *explore_vma(struct explorer *x, const VmaEntry *v)
{
	const char *text = vma_text(x, v);
	return v->status & VMA_AREA_REGULAR ? text : arena_printf(&x->s->arena, "%s *", text);
}
