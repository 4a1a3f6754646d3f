/*
 * Finding a function in BTF: a header, a row of type records of varying length, whose ids are their
 * places in the row, and the strings that they name.
 */
#include "kernel/btf.h"

#include <linux/btf.h>
#include <string.h>

/* Bytes that follow the common part of a record: some of each member, or of the kind. */
static const struct {
	uint8_t fixed, each;
} sizes[] = {
	[BTF_KIND_INT] = {4, 0},
	[BTF_KIND_PTR] = {0, 0},
	[BTF_KIND_ARRAY] = {sizeof(struct btf_array), 0},
	[BTF_KIND_STRUCT] = {0, sizeof(struct btf_member)},
	[BTF_KIND_UNION] = {0, sizeof(struct btf_member)},
	[BTF_KIND_ENUM] = {0, sizeof(struct btf_enum)},
	[BTF_KIND_FUNC_PROTO] = {0, sizeof(struct btf_param)},
	[BTF_KIND_VAR] = {sizeof(struct btf_var), 0},
	[BTF_KIND_DATASEC] = {0, sizeof(struct btf_var_secinfo)},
	[BTF_KIND_DECL_TAG] = {4, 0},
	[BTF_KIND_ENUM64] = {0, sizeof(struct btf_enum64)},
};
enum { N_KINDS = sizeof(sizes) / sizeof(*sizes) };

/* The offset of a whole string, 0 (the empty one) if it is not there. */
static uint32_t find_string(const char *strings, size_t len, const char *name)
{
	size_t size = strlen(name) + 1;
	for (const char *p = strings; p < strings + len;) {
		p = memmem(p, (size_t)(strings + len - p), name, size);
		if (!p)
			return 0;
		if (p > strings && !p[-1])
			return (uint32_t)(p - strings);
		p++;
	}
	return 0;
}

static uint32_t find_type(const char *types, size_t len, uint32_t name_off)
{
	uint32_t id = 1;
	struct btf_type t;
	for (size_t at = 0; len - at >= sizeof(t); id++) {
		memcpy(&t, types + at, sizeof(t));
		unsigned kind = BTF_INFO_KIND(t.info);
		if (kind == BTF_KIND_FUNC && t.name_off == name_off)
			return id;
		if (kind >= N_KINDS)
			return 0;
		size_t size = sizeof(t) + sizes[kind].fixed +
			      (size_t)sizes[kind].each * BTF_INFO_VLEN(t.info);
		if (size > len - at)
			return 0;
		at += size;
	}
	return 0;
}

uint32_t btf_find_function(const void *data, size_t len, const char *name)
{
	struct btf_header h;
	if (len < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	if (h.magic != BTF_MAGIC || h.hdr_len < sizeof(h) || h.hdr_len > len)
		return 0;
	const char *rest = (const char *)data + h.hdr_len;
	len -= h.hdr_len;
	if (h.type_off > len || h.type_len > len - h.type_off || h.str_off > len ||
		h.str_len > len - h.str_off)
		return 0;
	uint32_t name_off = find_string(rest + h.str_off, h.str_len, name);
	return name_off ? find_type(rest + h.type_off, h.type_len, name_off) : 0;
}
