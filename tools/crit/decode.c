/*
 * Records to JSON, by the descriptors that protobuf-c generates.
 *
 * Fields come in the order of their numbers; absent ones and empty lists are left out.  Without
 * --pretty every integer is a plain number.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "crit.h"

/* What the fields of one message are shown with. */
struct style {
	struct session *s;
	bool pretty, hex;
};

static const struct presentation hex_form = {.kind = PRESENT_HEX};

static uint64_t integer_at(ProtobufCType type, const void *at)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		return (uint64_t)(int64_t) * (const int32_t *)at;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static bool is_signed(ProtobufCType type)
{
	return type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_SINT32 ||
	       type == PROTOBUF_C_TYPE_SFIXED32 || type == PROTOBUF_C_TYPE_INT64 ||
	       type == PROTOBUF_C_TYPE_SINT64 || type == PROTOBUF_C_TYPE_SFIXED64 ||
	       type == PROTOBUF_C_TYPE_ENUM;
}

static void put_integer(
	struct json_writer *w, const struct presentation *how, ProtobufCType type, const void *at)
{
	uint64_t value = integer_at(type, at);
	char text[NUMBER_MAX];
	if (how && is_signed(type) && how->kind == PRESENT_HEX && (int64_t)value < 0)
		value &= type == PROTOBUF_C_TYPE_INT32 ? UINT32_MAX : UINT64_MAX;
	if (how && number_to_text(how, value, text))
		json_write_string(w, text);
	else if (is_signed(type))
		json_write_signed(w, (int64_t)value);
	else
		json_write_unsigned(w, value);
}

static void put_enum(struct json_writer *w, const ProtobufCFieldDescriptor *f, const void *at)
{
	int value = *(const int *)at;
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(f->descriptor, value);
	if (v)
		json_write_string(w, v->name);
	else
		json_write_signed(w, value);
}

static void put_bytes(struct json_writer *w, const struct style *style,
	const struct presentation *how, const ProtobufCBinaryData *data)
{
	if (how && how->kind == PRESENT_CONV) {
		json_write_string(w, quoted_encode(style->s, data->data, data->len));
		return;
	}
	char line[BASE64_LINE / 3 * 4 + 1];
	json_write_begin_text(w);
	for (size_t at = 0; at < data->len; at += BASE64_LINE) {
		size_t n = data->len - at < BASE64_LINE ? data->len - at : BASE64_LINE;
		json_write_text_part(w, line, base64_encode(data->data + at, n, line));
	}
	json_write_end_text(w);
}

static void put_fields(struct json_writer *w, const struct style *style, const ProtobufCMessage *m);

static void put_value(struct json_writer *w, const struct style *style,
	const struct presentation *how, const ProtobufCFieldDescriptor *f, const void *at)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL:
		json_write_bool(w, *(const protobuf_c_boolean *)at);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		put_enum(w, f, at);
		break;
	case PROTOBUF_C_TYPE_STRING:
		json_write_string(w, *(char *const *)at);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(w, style, how, at);
		break;
	case PROTOBUF_C_TYPE_MESSAGE: {
		struct style below = *style;
		below.hex |= how && how->kind == PRESENT_HEX;
		json_write_begin(w, '{');
		put_fields(w, &below, *(ProtobufCMessage *const *)at);
		json_write_end(w, '}');
		break;
	}
	default:
		put_integer(w, !style->pretty ? NULL : style->hex ? &hex_form : how, f->type, at);
	}
}

/* An address as one string, in a list, where the words make one. */
static bool put_address(struct json_writer *w, const uint32_t *words, size_t n)
{
	char text[INET6_ADDRSTRLEN];
	int family = n == 1 ? AF_INET : AF_INET6;
	if ((n != 1 && n != 4) || !inet_ntop(family, words, text, sizeof(text)))
		return false;
	json_write_begin(w, '[');
	json_write_string(w, text);
	json_write_end(w, ']');
	return true;
}

static void put_list(struct json_writer *w, const struct style *style,
	const struct presentation *how, const ProtobufCFieldDescriptor *f, const char *elements,
	size_t n)
{
	json_write_key(w, f->name);
	if (style->pretty && how && how->kind == PRESENT_IPADDR &&
		put_address(w, (const uint32_t *)elements, n))
		return;
	json_write_begin(w, '[');
	for (size_t i = 0; i < n; i++)
		put_value(w, style, how, f, elements + i * field_size(f->type));
	json_write_end(w, ']');
}

static bool put_field(struct json_writer *w, const struct style *style, const ProtobufCMessage *m,
	const ProtobufCFieldDescriptor *f)
{
	const struct presentation *how = presentation_of(m->descriptor->name, f->name);
	size_t n = field_count(m, f);
	if (!n)
		return false;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		put_list(w, style, how, f, field_at(m, f, 0), n);
		return true;
	}
	json_write_key(w, f->name);
	put_value(w, style, how, f, field_at(m, f, 0));
	return true;
}

static void put_fields(struct json_writer *w, const struct style *style, const ProtobufCMessage *m)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++)
		put_field(w, style, m, &m->descriptor->fields[i]);
}

bool decode_field(struct session *s, struct json_writer *w, const ProtobufCMessage *m,
	const ProtobufCFieldDescriptor *f)
{
	return put_field(w, &(struct style){.s = s, .pretty = w->pretty}, m, f);
}

void decode_fields(struct session *s, struct json_writer *w, const ProtobufCMessage *m)
{
	put_fields(w, &(struct style){.s = s, .pretty = w->pretty}, m);
}

static int decode_entries(struct crit *c, struct json_writer *w, struct image_reader *r)
{
	struct session *s = c->s;
	ProtobufCMessage *m;
	int more;
	while ((more = image_read(s, r, &m)) > 0) {
		json_write_begin(w, '{');
		decode_fields(s, w, m);
		int err = payload_decode(c, w, r, m);
		if (err < 0)
			return err;
		json_write_end(w, '}');
	}
	return more;
}

int crit_decode(struct crit *c)
{
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	int err = crit_open_image(c, &r);
	if (err < 0)
		return err;
	FILE *out;
	err = crit_open_output(c, &out);
	if (err < 0)
		return err;
	struct json_writer w = {.out = out, .pretty = c->pretty};
	json_write_begin(&w, '{');
	json_write_key(&w, "magic");
	json_write_string(&w, r.kind->name);
	json_write_key(&w, "entries");
	json_write_begin(&w, '[');
	err = decode_entries(c, &w, &r);
	if (err >= 0) {
		json_write_end(&w, ']');
		json_write_end(&w, '}');
	}
	if (out == stdout)
		fputc('\n', out);
	return crit_close_output(c, out, err);
}

int crit_show(struct crit *c)
{
	c->pretty = true;
	return crit_decode(c);
}

/* The head of a pagemap and the parts of a ghost's body are not entries. */
int crit_info(struct crit *c)
{
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	int err = crit_open_image(c, &r);
	uint64_t count = 0;
	ProtobufCMessage *m;
	while (err >= 0 && (err = image_read(c->s, &r, &m)) > 0)
		if (r.kind->payload == PAYLOAD_PAGEMAP ? m->descriptor == r.kind->nested
						       : m->descriptor == r.kind->record)
			count++;
	if (err < 0)
		return err;
	struct json_writer w = {.out = stdout, .pretty = true};
	json_write_begin(&w, '{');
	json_write_key(&w, "magic");
	json_write_string(&w, r.kind->name);
	json_write_key(&w, "count");
	json_write_unsigned(&w, count);
	json_write_end(&w, '}');
	putchar('\n');
	return 0;
}
