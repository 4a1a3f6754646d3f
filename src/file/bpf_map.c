/*
 * BPF maps: arrays and hash tables (bpf(2)).
 *
 * The kernel tells what a map is like, and gives its contents in one batch.  Descriptors of one map
 * have its id in common; at restore the first makes the map, the others are had by its new id.  A
 * map that a program in the kernel uses would be another one after a restore: refused, as are kinds
 * whose contents cannot be had or made (per CPU, queues, maps in maps, types from BTF).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel/bpf.h"
#include "file/bpf_map.h"
#include "file/dumping.h"
#include "file/restoring.h"
#include "kernel/proc_fdinfo.h"

enum {
	/* of map_flags: what BPF_MAP_CREATE takes again without knowing more */
	KNOWN_FLAGS = BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG | BPF_F_MMAPABLE |
		      BPF_F_ZERO_SEED,
};

static int read_info(int fd, void *info, size_t len)
{
	union bpf_attr attr = {.info = {.bpf_fd = (uint32_t)fd,
				       .info_len = (uint32_t)len,
				       .info = (uintptr_t)info}};
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

static int open_by_id(uint32_t id, uint32_t open_flags)
{
	union bpf_attr attr = {.map_id = id, .open_flags = open_flags};
	return sys_bpf(BPF_MAP_GET_FD_BY_ID, &attr);
}

/* The flag of bpf(2) for a descriptor opened this way. */
static uint32_t access_flag(uint32_t flags)
{
	return (flags & O_ACCMODE) == O_RDONLY	 ? BPF_F_RDONLY
	       : (flags & O_ACCMODE) == O_WRONLY ? BPF_F_WRONLY
						 : 0;
}

/* --- dump --- */

static bool bpf_map_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return strcmp(v->link, "anon_inode:bpf-map") == 0;
}

/* The id of a program that uses the map, 0: none that we may see. */
static uint32_t find_user(uint32_t map_id)
{
	union bpf_attr next = {0};
	while (sys_bpf(BPF_PROG_GET_NEXT_ID, &next) == 0) {
		uint32_t ids[64] = {0};
		struct bpf_prog_info info = {
			.nr_map_ids = sizeof(ids) / sizeof(*ids), .map_ids = (uintptr_t)ids};
		union bpf_attr attr = {.prog_id = next.next_id};
		_cleanup_close_ int fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
		if (fd >= 0 && read_info(fd, &info, sizeof(info)) == 0)
			for (uint32_t i = 0; i < info.nr_map_ids && i < 64; i++)
				if (ids[i] == map_id)
					return info.id;
		next.start_id = next.next_id;
	}
	return 0;
}

static void check(struct file_dump *d, const struct file_view *v, const struct bpf_map_info *info)
{
	uint32_t user = find_user(info->id);
	if (info->type != BPF_MAP_TYPE_HASH && info->type != BPF_MAP_TYPE_ARRAY)
		view_block(d, v, NULL,
			"a BPF map of type %u: only arrays and hash tables can be kept",
			info->type);
	else if (info->map_flags & ~(uint32_t)KNOWN_FLAGS)
		view_block(d, v, NULL, "a BPF map with flags %#x, which cannot be kept",
			info->map_flags);
	else if (info->btf_id || info->btf_vmlinux_value_type_id || info->ifindex)
		view_block(d, v, NULL, "a BPF map with %s, which cannot be kept",
			info->ifindex ? "a network device" : "types from BTF");
	else if (user)
		view_block(d, v, "end the program first", "a BPF map that the BPF program %u uses",
			user);
}

struct map_content {
	struct file_source from;
	const BpfmapFileEntry *e;
};

static int write_record(struct file_dump *d, const BpfmapFileEntry *e, const char *keys,
	const char *values, uint32_t count)
{
	BpfmapDataEntry data = BPFMAP_DATA_ENTRY__INIT;
	data.map_id = e->map_id;
	data.count = count;
	data.keys_bytes = count * e->key_size;
	data.values_bytes = count * e->value_size;
	int r = image_write(d->s, &d->bpf_data, &data.base);
	if (r >= 0)
		r = image_write_payload(d->s, &d->bpf_data, keys, data.keys_bytes, 1);
	return r < 0 ? r : image_write_payload(d->s, &d->bpf_data, values, data.values_bytes, 1);
}

static int write_content(struct file_dump *d, void *object)
{
	const struct map_content *c = object;
	const BpfmapFileEntry *e = c->e;
	bool readable = (e->flags & O_ACCMODE) != O_WRONLY;
	_cleanup_close_ int fd =
		readable ? source_take(d, &c->from) : open_by_id(e->map_id, BPF_F_RDONLY);
	_cleanup_free_ char *keys = calloc(e->max_entries, e->key_size);
	_cleanup_free_ char *values = calloc(e->max_entries, e->value_size);
	if (fd < 0 || !keys || !values)
		return fail(d->s, fd < 0 ? fd : ENOMEM, "read the BPF map %u", e->map_id);
	uint64_t position[8] = {0}; /* the batch's own; arrays want 4 bytes, hash tables 4, too */
	union bpf_attr attr = {.batch = {.out_batch = (uintptr_t)position,
				       .keys = (uintptr_t)keys,
				       .values = (uintptr_t)values,
				       .count = e->max_entries,
				       .map_fd = (uint32_t)fd}};
	long r = sys_bpf(BPF_MAP_LOOKUP_BATCH, &attr);
	if (r < 0 && r != -ENOENT)
		return fail(d->s, (int)r, "read the BPF map %u", e->map_id);
	return write_record(d, e, keys, values, attr.batch.count);
}

static int bpf_map_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	struct bpf_map_info info = {0};
	struct proc_fdinfo fdinfo;
	uint64_t frozen = 0, memlock = 0;
	int r = read_info(v->fd, &info, sizeof(info));
	if (r < 0)
		return fail(d->s, r, "pid %d %s: examine the BPF map", v->from.task->vpid,
			view_label(d, v));
	r = view_fdinfo(d, v, &fdinfo);
	if (r < 0)
		return r;
	check(d, v, &info);
	fdinfo_number(&fdinfo, "frozen", 10, &frozen);
	fdinfo_number(&fdinfo, "memlock", 10, &memlock);
	BpfmapFileEntry *e = f->detail = arena_new(&d->s->arena, BpfmapFileEntry);
	bpfmap_file_entry__init(e);
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	e->map_type = info.type;
	e->key_size = info.key_size;
	e->value_size = info.value_size;
	e->map_id = info.id;
	e->max_entries = info.max_entries;
	e->map_flags = info.map_flags;
	e->memlock = memlock;
	e->frozen = frozen;
	e->map_name = arena_strdup(&d->s->arena, info.name);
	e->has_map_extra = info.map_extra;
	e->map_extra = info.map_extra;
	if (!id_map_get(&d->bpf_maps, info.id)) {
		struct map_content *c = arena_new(&d->s->arena, struct map_content);
		*c = (struct map_content){v->from, e};
		id_map_put(&d->s->arena, &d->bpf_maps, info.id, c);
		d->predicted += (uint64_t)e->max_entries * (e->key_size + e->value_size);
		file_dump_later(d, write_content, c);
	}
	return fown_dump(d, v, &e->fown);
}

/* --- restore --- */

struct bpf_map {
	const BpfmapFileEntry *e;    /* of the first file that has it */
	const BpfmapDataEntry *data; /* NULL: none in the images */
	uint64_t offset;	     /* of the data */
	int fd;			     /* -1: not made yet */
	bool fd_in_use;		     /* some open file is the one that made it */
};

static struct bpf_map *map_of(struct file_set *f, uint32_t id)
{
	struct bpf_map *m = id_map_get(&f->bpf_maps, id);
	if (!m) {
		m = arena_new(&f->s->arena, struct bpf_map);
		m->fd = -1;
		id_map_put(&f->s->arena, &f->bpf_maps, id, m);
		*vec_push(&f->s->arena, &f->bpf_map_list) = m;
	}
	return m;
}

static int bpf_map_check(struct file_set *f, struct open_file *o)
{
	const BpfmapFileEntry *e = o->e->bpf;
	struct bpf_map *m = map_of(f, e->map_id);
	o->flags = e->flags;
	o->fown = e->fown;
	if (!m->e)
		m->e = e;
	if (e->map_type != BPF_MAP_TYPE_HASH && e->map_type != BPF_MAP_TYPE_ARRAY)
		return fail(f->s, EOPNOTSUPP, "%s: a BPF map of type %u cannot be restored",
			open_file_label(f, o), e->map_type);
	bool same = m->e->map_type == e->map_type && m->e->key_size == e->key_size &&
		    m->e->value_size == e->value_size && m->e->max_entries == e->max_entries;
	if (!same || !e->key_size || !e->max_entries || strlen(e->map_name) >= BPF_OBJ_NAME_LEN)
		return fail(f->s, EBADMSG, "%s: the BPF map of its image is not sane",
			open_file_label(f, o));
	return 0;
}

static int check_data(struct file_set *f, const struct bpf_map *m)
{
	const BpfmapDataEntry *d = m->data;
	bool sane = m->e && (uint64_t)d->count * m->e->key_size == d->keys_bytes &&
		    (uint64_t)d->count * m->e->value_size == d->values_bytes &&
		    d->count <= m->e->max_entries;
	return sane ? 0 : fail(f->s, EBADMSG, "bpfmap-data.img: map %u is not sane", d->map_id);
}

/* After all files are checked. */
int bpf_map_load(struct file_set *f)
{
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	ProtobufCMessage *message;
	int r = image_reader_open(f->s, &reader, f->s->images, IMG_BPFMAP_DATA, 0);
	while (r >= 0 && (r = image_read(f->s, &reader, &message)) > 0) {
		const BpfmapDataEntry *e = (const BpfmapDataEntry *)message;
		struct bpf_map *m = map_of(f, e->map_id);
		m->data = e;
		m->offset = reader.payload.offset;
		r = check_data(f, m);
	}
	if (r >= 0)
		f->bpf_data = take_fd(&reader.fd);
	return r;
}

static int fill_map(struct file_set *f, const struct bpf_map *m, int fd)
{
	const BpfmapDataEntry *d = m->data;
	size_t len = (size_t)d->keys_bytes + d->values_bytes;
	_cleanup_free_ char *data = malloc(len + 1);
	if (!data || pread(f->bpf_data, data, len, (off_t)m->offset) != (ssize_t)len)
		return fail(f->s, data ? EBADMSG : ENOMEM, "read the contents of BPF map %u",
			d->map_id);
	union bpf_attr attr = {.batch = {.keys = (uintptr_t)data,
				       .values = (uintptr_t)data + d->keys_bytes,
				       .count = d->count,
				       .map_fd = (uint32_t)fd}};
	long r = sys_bpf(BPF_MAP_UPDATE_BATCH, &attr);
	return r < 0 ? fail(f->s, (int)r, "fill BPF map %u", d->map_id) : 0;
}

static int make_map(struct file_set *f, struct bpf_map *m)
{
	const BpfmapFileEntry *e = m->e;
	union bpf_attr attr = {.map_type = e->map_type,
		.key_size = e->key_size,
		.value_size = e->value_size,
		.max_entries = e->max_entries,
		.map_flags = e->map_flags,
		.map_extra = e->map_extra};
	memcpy(attr.map_name, e->map_name, strlen(e->map_name));
	_cleanup_close_ int fd = sys_bpf(BPF_MAP_CREATE, &attr);
	if (fd < 0)
		return fail_remedy(f->s, fd, fd == -EPERM ? "needs CAP_BPF" : NULL,
			"make BPF map %u", e->map_id);
	int r = m->data && m->data->count ? fill_map(f, m, fd) : 0;
	if (r < 0)
		return r;
	union bpf_attr freeze = {.map_fd = (uint32_t)fd};
	if (e->frozen && (r = sys_bpf(BPF_MAP_FREEZE, &freeze)) < 0)
		return fail(f->s, r, "freeze BPF map %u", e->map_id);
	m->fd = take_fd(&fd);
	return 0;
}

static int bpf_map_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	struct bpf_map *m = map_of(f, o->e->bpf->map_id);
	struct bpf_map_info info = {0};
	int r = m->fd < 0 ? make_map(f, m) : 0;
	if (r < 0)
		return r;
	uint32_t access = access_flag(o->flags);
	if (!access && !m->fd_in_use) {
		m->fd_in_use = true;
		*ret_fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
		return *ret_fd < 0 ? fail(f->s, errno, "keep a BPF map") : 0;
	}
	r = read_info(m->fd, &info, sizeof(info));
	if (r >= 0)
		r = *ret_fd = open_by_id(info.id, access);
	return r < 0 ? fail(f->s, r, "%s: open the BPF map again", open_file_label(f, o)) : 0;
}

void bpf_map_release(struct file_set *f)
{
	vec_for_each (&f->bpf_map_list, m)
		if ((*m)->fd >= 0)
			close(take_fd(&(*m)->fd));
}

const struct file_type bpf_map_type = {
	.type = FD_TYPES__BPFMAP,
	.name = "BPF map",
	.restored = "arrays and hashes, with their entries",
	.limits = "other types of maps; maps that programs use or that are mapped",
	.detail = offsetof(FileEntry, bpf),
	.recognize = bpf_map_recognize,
	.collect = bpf_map_collect,
	.check = bpf_map_check,
	.create = bpf_map_create,
};
