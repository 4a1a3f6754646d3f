/* How protobuf-c stores a field. */
#include "crit.h"

size_t field_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return sizeof(uint64_t);
	default:
		return sizeof(uint32_t);
	}
}

static bool is_present(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)m;
	if (f->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE) {
		const void *p = *(void *const *)(base + f->offset);
		return p && p != f->default_value;
	}
	return *(const protobuf_c_boolean *)(base + f->quantifier_offset);
}

size_t field_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)((const char *)m + f->quantifier_offset);
	return is_present(m, f);
}

const void *field_at(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i)
{
	const char *at = (const char *)m + f->offset;
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		at = *(const char *const *)at + i * field_size(f->type);
	return at;
}
