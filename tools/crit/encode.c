/*
 * JSON to records: the reverse of decode.c, for both of its layouts and any mixture.
 *
 * An integer may be a number or any text that number.c reads.  Unknown members are left alone;
 * missing required ones are errors.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crit.h"
#include "image/dir.h"

enum { MAX_DEPTH = 200 };

/* The field that a value is for. */
struct place {
	struct session *s;
	const char *message;
	const ProtobufCFieldDescriptor *field;
	const struct presentation *how;
};

static int wrong(const struct place *p, const char *what)
{
	fail(p->s, EINVAL, "%s.%s: %s", p->message, p->field->name, what);
	return -EINVAL;
}

/* The value as 64 bits, of which the low ones are stored; negative numbers sign-extended. */
static int take_integer(const struct place *p, struct json_object *value, uint64_t *ret)
{
	if (json_object_is_type(value, json_type_int)) {
		int64_t number = json_object_get_int64(value);
		*ret = number < 0 ? (uint64_t)number : json_object_get_uint64(value);
		return 0;
	}
	if (json_object_is_type(value, json_type_boolean)) {
		*ret = (uint64_t)json_object_get_boolean(value);
		return 0;
	}
	if (json_object_is_type(value, json_type_string) &&
		number_from_text(p->how, json_object_get_string(value), ret))
		return 0;
	return wrong(p, "not a number");
}

static bool fits(ProtobufCType type, uint64_t value)
{
	int64_t number = (int64_t)value;
	switch (type) {
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return value <= UINT32_MAX;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		/* In hexadecimal a negative one has its top bit set. */
		return (number >= INT32_MIN && number <= INT32_MAX) || value <= UINT32_MAX;
	default:
		return true;
	}
}

static int take_enum(const struct place *p, struct json_object *value, uint64_t *ret)
{
	if (json_object_is_type(value, json_type_string)) {
		const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(
			p->field->descriptor, json_object_get_string(value));
		if (v) {
			*ret = (uint64_t)v->value;
			return 0;
		}
	}
	return take_integer(p, value, ret);
}

static int take_text(const struct place *p, struct json_object *value, char **ret, size_t *ret_len)
{
	if (!json_object_is_type(value, json_type_string))
		return wrong(p, "not a string");
	size_t len = (size_t)json_object_get_string_len(value);
	*ret = arena_alloc(&p->s->arena, len + 1);
	memcpy(*ret, json_object_get_string(value), len);
	*ret_len = len;
	return 0;
}

static int take_string(const struct place *p, struct json_object *value, char **ret)
{
	size_t len;
	int err = take_text(p, value, ret, &len);
	if (err < 0)
		return err;
	if (memchr(*ret, 0, len))
		return wrong(p, "holds a NUL");
	(*ret)[json_text_bytes(*ret, len)] = '\0';
	return 0;
}

static int take_bytes(const struct place *p, struct json_object *value, ProtobufCBinaryData *ret)
{
	char *text;
	size_t len;
	int err = take_text(p, value, &text, &len);
	if (err < 0)
		return err;
	uint8_t *data = arena_alloc(&p->s->arena, len + 1);
	ssize_t n = p->how && p->how->kind == PRESENT_CONV
			    ? (ssize_t)quoted_decode(text, (char *)data)
			    : base64_decode(text, len, data);
	if (n < 0)
		return wrong(p, "not base64");
	*ret = (ProtobufCBinaryData){.len = (size_t)n, .data = data};
	return 0;
}

static int take_number(const struct place *p, struct json_object *value, void *to)
{
	ProtobufCType type = p->field->type;
	uint64_t number;
	int err = type == PROTOBUF_C_TYPE_ENUM ? take_enum(p, value, &number)
					       : take_integer(p, value, &number);
	if (err < 0)
		return err;
	if (!fits(type, number))
		return wrong(p, "the number is too large");
	if (type == PROTOBUF_C_TYPE_BOOL)
		*(protobuf_c_boolean *)to = number != 0;
	else
		memcpy(to, &number, field_size(type));
	return 0;
}

static int take_value(const struct place *p, struct json_object *value, void *to)
{
	switch (p->field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return take_string(p, value, to);
	case PROTOBUF_C_TYPE_BYTES:
		return take_bytes(p, value, to);
	case PROTOBUF_C_TYPE_MESSAGE:
		return encode_message(p->s, p->field->descriptor, value, to);
	default:
		return take_number(p, value, to);
	}
}

/* One string that is an address, as its words in network order. */
static bool take_address(
	const struct place *p, struct json_object *list, uint32_t words[static 4], size_t *ret_n)
{
	if (!p->how || p->how->kind != PRESENT_IPADDR || json_object_array_length(list) != 1)
		return false;
	struct json_object *only = json_object_array_get_idx(list, 0);
	if (!json_object_is_type(only, json_type_string))
		return false;
	const char *text = json_object_get_string(only);
	*ret_n = strchr(text, ':') ? 4 : 1;
	return inet_pton(*ret_n == 4 ? AF_INET6 : AF_INET, text, words) == 1;
}

static int take_list(const struct place *p, struct json_object *list, char *base)
{
	if (!json_object_is_type(list, json_type_array))
		return wrong(p, "not a list");
	size_t n = json_object_array_length(list), size = field_size(p->field->type);
	uint32_t words[4];
	bool address = take_address(p, list, words, &n);
	char *elements = arena_alloc(&p->s->arena, (n ? n : 1) * size);
	for (size_t i = 0; i < n && !address; i++) {
		int err = take_value(p, json_object_array_get_idx(list, i), elements + i * size);
		if (err < 0)
			return err;
	}
	if (address)
		memcpy(elements, words, n * size);
	*(size_t *)(base + p->field->quantifier_offset) = n;
	*(char **)(base + p->field->offset) = elements;
	return 0;
}

static int take_field(const struct place *p, struct json_object *value, char *base)
{
	const ProtobufCFieldDescriptor *f = p->field;
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return take_list(p, value, base);
	int err = take_value(p, value, base + f->offset);
	if (err >= 0 && f->label == PROTOBUF_C_LABEL_OPTIONAL &&
		f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE)
		*(protobuf_c_boolean *)(base + f->quantifier_offset) = true;
	return err;
}

int encode_message(struct session *s, const ProtobufCMessageDescriptor *type,
	struct json_object *object, ProtobufCMessage **ret)
{
	if (!json_object_is_type(object, json_type_object))
		return fail(s, EINVAL, "%s: not an object", type->name);
	ProtobufCMessage *m = arena_alloc(&s->arena, type->sizeof_message);
	type->message_init(m);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &type->fields[i];
		struct place p = {.s = s,
			.message = type->name,
			.field = f,
			.how = presentation_of(type->name, f->name)};
		struct json_object *value;
		int err = 0;
		if (json_object_object_get_ex(object, f->name, &value))
			err = take_field(&p, value, (char *)m);
		else if (f->label == PROTOBUF_C_LABEL_REQUIRED)
			err = wrong(&p, "missing");
		if (err < 0)
			return err;
	}
	*ret = m;
	return 0;
}

static void free_tokener(struct json_tokener **t)
{
	if (*t)
		json_tokener_free(*t);
}

/* The whole text as one value. */
static int parse(struct crit *c, struct json_object **ret)
{
	struct session *s = c->s;
	const char *label;
	_cleanup_close_ int fd = -1;
	int err = crit_open_input(c, &fd, &label);
	if (err < 0)
		return err;
	_cleanup_(free_tokener) struct json_tokener *t = json_tokener_new_ex(MAX_DEPTH);
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	char buffer[65536];
	struct json_object *value = NULL;
	enum json_tokener_error state = json_tokener_continue;
	size_t before = 0;
	ssize_t n = 0;
	while (!value && state == json_tokener_continue &&
		(n = read(fd, buffer, sizeof(buffer))) > 0) {
		value = json_tokener_parse_ex(t, buffer, (int)n);
		state = json_tokener_get_error(t);
		before += value || state != json_tokener_continue ? json_tokener_get_parse_end(t)
								  : (size_t)n;
	}
	if (n < 0)
		return fail(s, errno, "read %s", label);
	if (!value)
		return fail_remedy(s, EINVAL, "give it what crit decode wrote",
			"Cannot read JSON. %s: offset %zu: %s", label, before,
			state == json_tokener_continue ? "the text ends too early"
						       : json_tokener_error_desc(state));
	*ret = value;
	return 0;
}

/* Which message the i-th entry is; pagemaps have a head, ghosts with chunks one, others none. */
static const ProtobufCMessageDescriptor *entry_type(const struct image_kind *kind, size_t i)
{
	bool headed = kind->payload == PAYLOAD_PAGEMAP || kind->payload == PAYLOAD_GHOST;
	return headed && i ? kind->nested : kind->record;
}

static int encode_entries(struct crit *c, struct image_writer *w, struct json_object *entries)
{
	struct session *s = c->s;
	for (size_t i = 0; i < json_object_array_length(entries); i++) {
		struct json_object *object = json_object_array_get_idx(entries, i);
		ProtobufCMessage *m;
		int err = encode_message(s, entry_type(image_kind(w->type), i), object, &m);
		if (err >= 0)
			err = image_write(s, w, m);
		if (err >= 0)
			err = payload_encode(s, w, m, object);
		if (err < 0)
			return fail_context(s, err, "entry %zu", i);
	}
	return 0;
}

/* Into memory: nothing is written out before all of it is known to be good. */
static int encode_image(struct crit *c, struct json_object *root, struct image_writer *w)
{
	static const struct image_dir memory = {.path = "memory"};
	struct session *s = c->s;
	struct json_object *magic, *entries;
	enum image_type type;
	if (!json_object_object_get_ex(root, "magic", &magic) ||
		!json_object_is_type(magic, json_type_string) ||
		!json_object_object_get_ex(root, "entries", &entries) ||
		!json_object_is_type(entries, json_type_array))
		return fail(s, EINVAL, "this JSON has no magic or no list of entries");
	if (!image_type_by_name(json_object_get_string(magic), &type))
		return fail(s, EINVAL, "Unknown magic %s", json_object_get_string(magic));
	int fd = memfd_create("crit", MFD_CLOEXEC);
	if (fd < 0)
		return fail(s, errno, "memfd_create");
	image_writer_init_fd(w, &memory, type, fd);
	return encode_entries(c, w, entries);
}

static int copy_out(struct crit *c, int from)
{
	const char *label = c->out ? c->out : "standard output";
	_cleanup_close_ int fd =
		c->out ? open(c->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
		       : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return fail(c->s, errno, "%s", label);
	char buffer[65536];
	off_t at = 0;
	ssize_t n;
	while ((n = pread(from, buffer, sizeof(buffer), at)) > 0) {
		for (ssize_t done = 0, got; done < n; done += got)
			if ((got = write(fd, buffer + done, (size_t)(n - done))) <= 0)
				return fail(c->s, errno, "write %s", label);
		at += n;
	}
	return n < 0 ? fail(c->s, errno, "write %s", label) : 0;
}

static void release_value(struct json_object **value)
{
	json_object_put(*value);
}

int crit_encode(struct crit *c)
{
	_cleanup_(release_value) struct json_object *root = NULL;
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	int fd, err = parse(c, &root);
	if (err >= 0)
		err = encode_image(c, root, &w);
	if (err >= 0)
		err = image_writer_fd(c->s, &w, &fd);
	return err < 0 ? err : copy_out(c, fd);
}
