/* The messages compiled in are those of spec/schema, and the presentation table names real fields.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/presentation.h"
#include "image/registry.h"
#include "image_test.h"
#include "img_streamer.pb-c.h"
#include "options.pb-c.h"
#include "rpc.pb-c.h"

enum { MAX_MESSAGES = 300 };

struct messages {
	const ProtobufCMessageDescriptor *v[MAX_MESSAGES];
	size_t n;
};

static void add(struct messages *all, const ProtobufCMessageDescriptor *type)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i] == type)
			return;
	assert_true(all->n < MAX_MESSAGES);
	all->v[all->n++] = type;
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			add(all, type->fields[i].descriptor);
}

static void add_all(struct messages *all)
{
	static const ProtobufCMessageDescriptor *const others[] = {&criu_req__descriptor,
		&criu_resp__descriptor, &criu__opts__descriptor,
		&img_streamer_request_entry__descriptor, &img_streamer_reply_entry__descriptor};
	for (int type = 0; type < N_IMAGE_TYPES; type++) {
		const struct image_kind *kind = image_kind((enum image_type)type);
		if (kind->record)
			add(all, kind->record);
		if (kind->nested)
			add(all, kind->nested);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		add(all, others[i]);
}

static const ProtobufCFieldDescriptor *find_field(
	const struct messages *all, const char *message, const char *field)
{
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->v[i]->name, message) == 0)
			return protobuf_c_message_descriptor_get_field_by_name(all->v[i], field);
	return NULL;
}

static void presentation_names_fields(void **state)
{
	(void)state;
	struct messages all = {0};
	add_all(&all);
	size_t n;
	const struct presentation *table = presentation_table(&n);
	for (size_t i = 0; i < n; i++) {
		if (!find_field(&all, table[i].message, table[i].field))
			fail_msg("no field %s.%s", table[i].message, table[i].field);
		assert_ptr_equal(presentation_of(table[i].message, table[i].field), &table[i]);
	}
	assert_null(presentation_of("pstree_entry", "pid"));
}

static const char *type_name(const ProtobufCFieldDescriptor *field)
{
	static const char *const names[] = {[PROTOBUF_C_TYPE_INT32] = "int32",
		[PROTOBUF_C_TYPE_SINT32] = "sint32",
		[PROTOBUF_C_TYPE_SFIXED32] = "sfixed32",
		[PROTOBUF_C_TYPE_INT64] = "int64",
		[PROTOBUF_C_TYPE_SINT64] = "sint64",
		[PROTOBUF_C_TYPE_SFIXED64] = "sfixed64",
		[PROTOBUF_C_TYPE_UINT32] = "uint32",
		[PROTOBUF_C_TYPE_FIXED32] = "fixed32",
		[PROTOBUF_C_TYPE_UINT64] = "uint64",
		[PROTOBUF_C_TYPE_FIXED64] = "fixed64",
		[PROTOBUF_C_TYPE_FLOAT] = "float",
		[PROTOBUF_C_TYPE_DOUBLE] = "double",
		[PROTOBUF_C_TYPE_BOOL] = "bool",
		[PROTOBUF_C_TYPE_STRING] = "string",
		[PROTOBUF_C_TYPE_BYTES] = "bytes"};
	if (field->type == PROTOBUF_C_TYPE_ENUM)
		return ((const ProtobufCEnumDescriptor *)field->descriptor)->name;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return ((const ProtobufCMessageDescriptor *)field->descriptor)->name;
	return names[field->type];
}

static const char *label_name(const ProtobufCFieldDescriptor *field)
{
	static const char *const names[] = {[PROTOBUF_C_LABEL_REQUIRED] = "required",
		[PROTOBUF_C_LABEL_OPTIONAL] = "optional",
		[PROTOBUF_C_LABEL_REPEATED] = "repeated"};
	return names[field->label];
}

/* As the schema spells it. */
static void spell(const struct presentation *p, char *out, size_t room)
{
	static const char *const names[] = {[PRESENT_HEX] = "hex",
		[PRESENT_DEV] = "dev",
		[PRESENT_ODEV] = "dev,odev",
		[PRESENT_FLAGS] = "flags",
		[PRESENT_DICT] = "dict",
		[PRESENT_IPADDR] = "ipadd",
		[PRESENT_CONV] = "conv"};
	if (!p)
		*out = '\0';
	else
		snprintf(out, room, "%s%s%s", names[p->kind], p->map ? "=" : "",
			p->map ? p->map : "");
}

enum { GROUP, MESSAGE, NUMBER, LABEL, TYPE, FIELD, DEFAULT, PRESENTATION, ONEOF, N_COLUMNS };

static void check_row(const struct messages *all, char **column)
{
	const ProtobufCFieldDescriptor *field = find_field(all, column[MESSAGE], column[FIELD]);
	if (!field)
		fail_msg("no field %s.%s", column[MESSAGE], column[FIELD]);
	assert_int_equal(field->id, atoi(column[NUMBER]));
	assert_string_equal(label_name(field), column[LABEL]);
	assert_string_equal(type_name(field), column[TYPE]);
	assert_int_equal(field->default_value != NULL, *column[DEFAULT] != '\0');
	assert_false(field->flags & PROTOBUF_C_FIELD_FLAG_PACKED);
	char text[64];
	spell(presentation_of(column[MESSAGE], column[FIELD]), text, sizeof(text));
	assert_string_equal(text, column[PRESENTATION]);
}

static void fields_as_specified(void **state)
{
	(void)state;
	const char *shared = shared_dir();
	if (!shared)
		skip();
	char path[4096];
	snprintf(path, sizeof(path), "%s/spec/schema/messages.tsv", shared);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	assert_non_null(file);
	struct messages all = {0};
	add_all(&all);
	size_t n_rows = 0, n_fields = 0;
	for (char line[1024]; fgets(line, sizeof(line), file); n_rows++) {
		char *column[N_COLUMNS], *rest = line, none[] = "";
		line[strcspn(line, "\n")] = '\0';
		for (int i = 0; i < N_COLUMNS; i++)
			column[i] = rest ? strsep(&rest, "\t") : none;
		if (n_rows)
			check_row(&all, column);
	}
	/* our own image is no part of it */
	for (size_t i = 0; i < all.n; i++)
		if (strncmp(all.v[i]->name, "fermata_", strlen("fermata_")) != 0)
			n_fields += all.v[i]->n_fields;
	assert_int_equal(n_fields, n_rows - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presentation_names_fields),
		cmocka_unit_test(fields_as_specified),
	};
	return cmocka_run_group_tests_name("image schema", tests, NULL, NULL);
}
