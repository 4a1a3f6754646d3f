/*
 * Which fields of images are ids, and of what.
 *
 * An id is defined where the thing is described and referred to elsewhere; references_note()
 * gathers both from every record, references_resolve() compares.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "file.pb-c.h"
#include "image/dir.h"

static const struct id_field {
	const char *message, *field;
	enum reference_kind kind;
	bool defines;
	bool zero_is_none;
} id_fields[] = {
	{"fdinfo_entry", "id", REF_FILE},
	{"fifo_entry", "pipe_id", REF_FIFO, .defines = true},
	{"fifo_entry", "regf_id", REF_FILE},
	{"file_entry", "id", REF_FILE, .defines = true},
	{"fs_entry", "cwd_id", REF_FILE},
	{"fs_entry", "root_id", REF_FILE},
	{"memfd_file_entry", "inode_id", REF_MEMFD},
	{"memfd_inode_entry", "inode_id", REF_MEMFD, .defines = true},
	{"mm_entry", "exe_file_id", REF_FILE},
	{"pipe_entry", "pipe_id", REF_PIPE, .defines = true},
	{"pstree_entry", "pid", REF_TASK, .defines = true},
	{"pstree_entry", "ppid", REF_TASK, .zero_is_none = true},
	{"remap_file_path_entry", "orig_id", REF_FILE},
	{"scm_entry", "rights", REF_FILE},
	{"sk_packet_entry", "id_for", REF_FILE},
	{"tty_data_entry", "tty_id", REF_TTY},
	{"tty_file_entry", "regf_id", REF_FILE},
	{"tty_file_entry", "tty_info_id", REF_TTY},
	{"tty_info_entry", "id", REF_TTY, .defines = true},
};

static const char *const kind_names[] = {
	[REF_FILE] = "open file",
	[REF_PIPE] = "pipe",
	[REF_FIFO] = "FIFO",
	[REF_MEMFD] = "memfd",
	[REF_TTY] = "terminal",
	[REF_TASK] = "task",
};

void reference(struct check *k, enum reference_kind kind, uint64_t id, const char *where)
{
	*vec_push(&k->s->arena, &k->references) =
		(struct reference){.kind = kind, .id = id, .where = where};
}

static const struct id_field *id_field_of(const char *message, const char *field)
{
	for (size_t i = 0; i < sizeof(id_fields) / sizeof(*id_fields); i++)
		if (strcmp(id_fields[i].message, message) == 0 &&
			strcmp(id_fields[i].field, field) == 0)
			return &id_fields[i];
	return NULL;
}

static bool is_absent(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return f->label == PROTOBUF_C_LABEL_OPTIONAL && f->quantifier_offset &&
	       !*(const protobuf_c_boolean *)((const char *)m + f->quantifier_offset);
}

static void note_id(struct check *k, const char *image, const struct id_field *id,
	const ProtobufCFieldDescriptor *f, const void *at)
{
	uint64_t value =
		f->type == PROTOBUF_C_TYPE_UINT64 ? *(const uint64_t *)at : *(const uint32_t *)at;
	if (id->zero_is_none && !value)
		return;
	reference(k, id->kind, value,
		id->defines ? NULL
			    : arena_printf(&k->s->arena, "%s: %s.%s", image, id->message, f->name));
}

/* Every element of a field, or the only one. */
static size_t elements_of(
	const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const char **ret)
{
	const char *at = (const char *)m + f->offset;
	bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
	*ret = repeated ? *(const char *const *)at : at;
	return repeated ? *(const size_t *)((const char *)m + f->quantifier_offset) : 1;
}

/* Ghosts have a file of their own; a link is another open file; /proc entries belong to tasks. */
static void note_remap(struct check *k, const char *image, const RemapFilePathEntry *e)
{
	char name[IMAGE_NAME_MAX];
	image_name(IMG_GHOST_FILE, e->remap_id, name);
	if (e->remap_type == REMAP_TYPE__LINKED && e->has_remap_type)
		reference(k, REF_FILE, e->remap_id, "remap-fpath.img: the other link");
	else if ((!e->has_remap_type || e->remap_type == REMAP_TYPE__GHOST) &&
		 faccessat(k->dir->fd, name, R_OK, 0) < 0)
		problem(k, "%s: %s is missing", image, name);
}

void references_note(struct check *k, const char *image, const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;
	if (type == &remap_file_path_entry__descriptor)
		note_remap(k, image, (const RemapFilePathEntry *)m);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &type->fields[i];
		const struct id_field *id = id_field_of(type->name, f->name);
		bool message = f->type == PROTOBUF_C_TYPE_MESSAGE;
		const char *at;
		if (!id && !message)
			continue;
		size_t n = is_absent(m, f) ? 0 : elements_of(m, f, &at);
		for (size_t j = 0; j < n; j++)
			if (!message)
				note_id(k, image, id, f, at + j * sizeof(uint32_t));
			else if (((const ProtobufCMessage *const *)at)[j])
				references_note(k, image, ((const ProtobufCMessage *const *)at)[j]);
	}
}

/* Definitions sort before references to them. */
static int compare(const void *a, const void *b)
{
	const struct reference *l = a, *r = b;
	if (l->kind != r->kind)
		return l->kind < r->kind ? -1 : 1;
	if (l->id != r->id)
		return l->id < r->id ? -1 : 1;
	return (l->where != NULL) - (r->where != NULL);
}

void references_resolve(struct check *k)
{
	struct reference *all = k->references.v;
	const struct reference *known = NULL;
	if (k->references.n)
		qsort(all, k->references.n, sizeof(*all), compare);
	for (size_t i = 0; i < k->references.n; i++) {
		if (!all[i].where)
			known = &all[i];
		else if (!known || known->kind != all[i].kind || known->id != all[i].id)
			problem(k, "%s: there is no %s %ju", all[i].where, kind_names[all[i].kind],
				(uintmax_t)all[i].id);
	}
}
