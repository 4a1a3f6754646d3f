/* Whole images at once, and single messages into the arena. */
#include <errno.h>

#include "cgroup.pb-c.h"
#include "image/codec.h"
#include "security.pb-c.h"

enum { MAX_DEPTH = 100 };

/*
 * What the parser only needs while it works (lists of members, several times the message itself
 * when fields repeat) is used again.
 */
static void *arena_message_alloc(void *arena, size_t size)
{
	return arena_lend(arena, size);
}

static void arena_message_free(void *arena, void *p)
{
	if (p)
		arena_take_back(arena, p);
}

static bool take_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t byte = *(*p)++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

/* Whether messages in data nest deeper than `left` levels. Damage otherwise is left to unpacking.
 */
static bool nests_deeper(
	const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t len, unsigned left)
{
	const uint8_t *end = p + len;
	if (!left)
		return true;
	while (p < end) {
		uint64_t tag, value = 0;
		if (!take_varint(&p, end, &tag))
			return false;
		unsigned wire = tag & 7;
		if ((wire == 0 || wire == 2) && !take_varint(&p, end, &value))
			return false;
		uint64_t skip = wire == 1 ? 8 : wire == 5 ? 4 : wire == 2 ? value : 0;
		if (skip > (uint64_t)(end - p) || wire > 5 || wire == 3 || wire == 4)
			return false;
		const ProtobufCFieldDescriptor *field =
			protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
		if (wire == 2 && field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
			nests_deeper(field->descriptor, p, (size_t)skip, left - 1))
			return true;
		p += skip;
	}
	return false;
}

int image_unpack(struct session *s, const ProtobufCMessageDescriptor *type, const void *data,
	size_t len, ProtobufCMessage **ret)
{
	/* The only messages of the schema that may contain themselves. */
	if ((type == &cgroup_entry__descriptor || type == &apparmor_entry__descriptor) &&
		nests_deeper(type, data, len, MAX_DEPTH))
		return -EBADMSG;
	ProtobufCAllocator allocator = {.alloc = arena_message_alloc,
		.free = arena_message_free,
		.allocator_data = &s->arena};
	ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, len, data);
	if (!m)
		return -EBADMSG;
	*ret = m;
	return 0;
}

int image_read_one_at(struct session *s, const struct image_dir *dir, enum image_type type,
	uint64_t id, ProtobufCMessage **ret)
{
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	int err = image_reader_open(s, &r, dir, type, id);
	if (err < 0)
		return err;
	if (r.fd < 0)
		return -ENOENT;
	ProtobufCMessage *m;
	err = image_read(s, &r, &m);
	if (err < 0)
		return err;
	if (err == 0)
		return fail(s, EBADMSG, "%s/%s: no record, expected one", dir->path, r.name);
	if (r.pos != r.size)
		return fail(s, EBADMSG, "%s/%s: offset %ju: more than the one record expected",
			dir->path, r.name, (uintmax_t)r.pos);
	*ret = m;
	return 0;
}

int image_read_one(struct session *s, enum image_type type, uint64_t id, ProtobufCMessage **ret)
{
	return image_read_one_at(s, s->images, type, id, ret);
}

int image_read_all(struct session *s, enum image_type type, uint64_t id, ProtobufCMessage ***ret,
	size_t *ret_n)
{
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	int err = image_reader_open(s, &r, s->images, type, id);
	if (err < 0)
		return err;
	VEC(ProtobufCMessage *) all = {0};
	ProtobufCMessage *m;
	while ((err = image_read(s, &r, &m)) > 0)
		*vec_push(&s->arena, &all) = m;
	if (err < 0)
		return err;
	*ret = all.v;
	*ret_n = all.n;
	return 0;
}
