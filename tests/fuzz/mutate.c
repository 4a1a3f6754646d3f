/* Changes of messages by their descriptors, and of images record by record. */
#include "mutate.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "image/codec.h"

enum { TEXT_MAX = 4096 };

uint32_t roll(struct dice *d, size_t n)
{
	d->state = d->state * 6364136223846793005u + 1442695040888963407u;
	return n ? (uint32_t)((d->state >> 33) % n) : 0;
}

static uint64_t mutate_integer(struct dice *d, uint64_t value)
{
	static const uint64_t odd[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 0xffff, 0x10000,
		INT32_MAX, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 47, INT64_MAX, UINT64_MAX};
	switch (roll(d, 5)) {
	case 0:
		return odd[roll(d, sizeof(odd) / sizeof(*odd))];
	case 1:
		return value + roll(d, 16);
	case 2:
		return value - roll(d, 16);
	case 3:
		return value ^ UINT64_C(1) << roll(d, 64);
	default:
		return roll(d, 64);
	}
}

static void mutate_bytes(struct dice *d, uint8_t **data, size_t *len)
{
	size_t max = *len + 64 < TEXT_MAX ? *len + 64 : *len;
	uint8_t *copy = arena_alloc(d->a, max + 1);
	if (*len)
		memcpy(copy, *data, *len);
	*len = LLVMFuzzerMutate(copy, *len, max);
	copy[*len] = '\0';
	*data = copy;
}

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_FLOAT:
		return 4;
	default:
		return 8;
	}
}

/* Of whatever was there; NULL counts as empty. */
static void mutate_value(struct dice *d, const ProtobufCFieldDescriptor *f, void *at)
{
	const ProtobufCMessageDescriptor *type = f->descriptor;
	ProtobufCBinaryData *bytes = at;
	char **text = at;
	ProtobufCMessage **m = at;
	uint64_t value = 0;
	size_t len;
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		len = *text ? strlen(*text) : 0;
		mutate_bytes(d, (uint8_t **)text, &len);
		return;
	case PROTOBUF_C_TYPE_BYTES:
		mutate_bytes(d, &bytes->data, &bytes->len);
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		if (!*m) {
			*m = arena_alloc(d->a, type->sizeof_message);
			type->message_init(*m);
		}
		mutate_message(d, *m);
		return;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at ^= 1;
		return;
	default:
		memcpy(&value, at, size_of(f->type));
		value = mutate_integer(d, value);
		memcpy(at, &value, size_of(f->type));
	}
}

/* Drops, doubles, swaps or changes an element, in a copy. */
static void mutate_list(
	struct dice *d, const ProtobufCFieldDescriptor *f, char **elements, size_t *n)
{
	size_t size = size_of(f->type), i = roll(d, *n), j = roll(d, *n);
	char *copy = arena_alloc(d->a, (*n + 1) * size);
	if (*n)
		memcpy(copy, *elements, *n * size);
	*elements = copy;
	switch (*n ? roll(d, 8) : 1) {
	case 0:
		memmove(copy + i * size, copy + (i + 1) * size, (--*n - i) * size);
		return;
	case 1:
		memmove(copy + (i + 1) * size, copy + i * size, (*n - i) * size);
		if (!(*n)++)
			mutate_value(d, f, memset(copy, 0, size));
		return;
	case 2:
		memcpy(copy + *n * size, copy + i * size, size);
		memmove(copy + i * size, copy + j * size, size);
		memcpy(copy + j * size, copy + *n * size, size);
		return;
	default:
		mutate_value(d, f, copy + i * size);
	}
}

void mutate_message(struct dice *d, ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;
	if (!type->n_fields)
		return;
	const ProtobufCFieldDescriptor *f = &type->fields[roll(d, type->n_fields)];
	char *base = (char *)m;
	void *at = base + f->offset;
	bool pointer = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		mutate_list(d, f, at, (size_t *)(base + f->quantifier_offset));
		return;
	}
	bool optional = f->label == PROTOBUF_C_LABEL_OPTIONAL;
	bool drop = optional && !roll(d, 4);
	if (drop && pointer)
		*(void **)at = NULL;
	else
		mutate_value(d, f, at);
	if (optional && !pointer)
		*(protobuf_c_boolean *)(base + f->quantifier_offset) = !drop;
}

/* --- records --- */

struct record {
	ProtobufCMessage *m;
	uint64_t start;
	struct image_payload_span payload;
};

typedef VEC(struct record) record_vec;

/* False if it is no whole image. */
static bool read_records(
	struct session *s, const uint8_t *data, size_t size, record_vec *out, uint64_t *ret_head)
{
	static const struct image_dir memory = {.path = "memory"};
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	if (image_reader_identify(s, &r, fuzz_file(data, size), &memory, "fuzz") < 0)
		return false;
	struct record record = {.start = *ret_head = r.pos};
	int more;
	while ((more = image_read(s, &r, &record.m)) > 0) {
		record.payload = r.payload;
		*vec_push(&s->arena, out) = record;
		record.start = r.pos;
	}
	return more == 0 && out->n;
}

/* Lengths in a record may not be those of its payload any more: that stays. */
static size_t mutate_record(
	struct dice *d, const struct record *record, uint8_t *data, size_t size, size_t max_size)
{
	mutate_message(d, record->m);
	uint32_t len = (uint32_t)protobuf_c_message_get_packed_size(record->m);
	size_t behind = size - record->payload.offset;
	if (record->start + sizeof(len) + len + behind > max_size)
		return size;
	uint8_t *at = data + record->start + sizeof(len);
	memmove(at + len, data + record->payload.offset, behind);
	memcpy(data + record->start, &len, sizeof(len));
	protobuf_c_message_pack(record->m, at);
	return record->start + sizeof(len) + len + behind;
}

/* A record, with its payload, once more or not at all. */
static size_t repeat_or_drop(
	struct dice *d, const struct record *record, uint8_t *data, size_t size, size_t max_size)
{
	uint64_t end = record->payload.offset + record->payload.stored, len = end - record->start;
	if (roll(d, 2)) {
		memmove(data + record->start, data + end, size - end);
		return size - len;
	}
	if (size + len > max_size)
		return size;
	memmove(data + end, data + record->start, size - record->start);
	return size + len;
}

size_t mutate_image(struct dice *d, uint8_t *data, size_t size, size_t max_size)
{
	struct session s;
	record_vec records = {0};
	uint64_t head;
	fuzz_session(&s);
	d->a = &s.arena;
	if (!roll(d, 8) || !read_records(&s, data, size, &records, &head))
		size = LLVMFuzzerMutate(data, size, max_size);
	else if (!roll(d, 8))
		size = repeat_or_drop(d, &records.v[roll(d, records.n)], data, size, max_size);
	else
		size = mutate_record(d, &records.v[roll(d, records.n)], data, size, max_size);
	session_release(&s);
	return size;
}
