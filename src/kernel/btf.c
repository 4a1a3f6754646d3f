/*
 * Finding a function, or a member of a structure, in BTF: a header, a row of type records of
 * varying length, whose ids are their places in the row, and the strings that they name.
 */
#include "kernel/btf.h"

#include <linux/btf.h>
#include <stdlib.h>
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

/* A place in the row of types; id 0 is no type. */
struct cursor {
	const char *p, *end;
	uint32_t id;
	struct btf_type t;
	const char *rest; /* of the record: members of a structure */
};

static bool next_type(struct cursor *c)
{
	if ((size_t)(c->end - c->p) < sizeof(c->t))
		return false;
	memcpy(&c->t, c->p, sizeof(c->t));
	unsigned kind = BTF_INFO_KIND(c->t.info);
	if (kind >= N_KINDS)
		return false;
	size_t size = sizes[kind].fixed + (size_t)sizes[kind].each * BTF_INFO_VLEN(c->t.info);
	c->rest = c->p + sizeof(c->t);
	if (size > (size_t)(c->end - c->rest))
		return false;
	c->p = c->rest + size;
	c->id++;
	return true;
}

struct btf {
	struct cursor types; /* before the first */
	const uint32_t *at;  /* where each is, by its id; NULL: not known */
	uint32_t n;
	const char *strings;
	size_t strings_len;
	unsigned nameless; /* parts that were looked into */
};

static bool parse(const void *data, size_t len, struct btf *ret)
{
	struct btf_header h;
	if (len < sizeof(h))
		return false;
	memcpy(&h, data, sizeof(h));
	if (h.magic != BTF_MAGIC || h.hdr_len < sizeof(h) || h.hdr_len > len)
		return false;
	const char *rest = (const char *)data + h.hdr_len;
	len -= h.hdr_len;
	if (h.type_off > len || h.type_len > len - h.type_off || h.str_off > len ||
		h.str_len > len - h.str_off)
		return false;
	const char *types = rest + h.type_off;
	*ret = (struct btf){.types = {.p = types, .end = types + h.type_len},
		.strings = rest + h.str_off,
		.strings_len = h.str_len};
	return true;
}

static bool find_named(const struct btf *b, unsigned kind, const char *name, struct cursor *ret)
{
	uint32_t name_off = find_string(b->strings, b->strings_len, name);
	*ret = b->types;
	while (name_off && next_type(ret))
		if (ret->t.name_off == name_off && BTF_INFO_KIND(ret->t.info) == kind)
			return true;
	return false;
}

uint32_t btf_find_function(const void *data, size_t len, const char *name)
{
	struct btf b;
	struct cursor c;
	return parse(data, len, &b) && find_named(&b, BTF_KIND_FUNC, name, &c) ? c.id : 0;
}

static bool go_to(const struct btf *b, uint32_t id, struct cursor *ret)
{
	*ret = b->types;
	if (b->at) {
		ret->p += id && id <= b->n ? b->at[id] : 0;
		ret->id = id - 1;
		return id && id <= b->n && next_type(ret);
	}
	while (ret->id < id && next_type(ret))
		;
	return id && ret->id == id;
}

/* Structures of the kernel nest deeper, or have more parts without a name, only by malice. */
enum { DEPTH_MAX = 4, NAMELESS_MAX = 256, NAMES_MAX = 16, POINTER_SIZE = 8 };

/* What the member must be; 0: anything. */
struct form {
	bool pointer;
	const char *target; /* the structure that it points to */
	uint32_t size;
};

/* The type that other names and qualifiers stand for. */
static bool resolve(const struct btf *b, uint32_t id, struct cursor *ret)
{
	const uint32_t names = 1U << BTF_KIND_TYPEDEF | 1U << BTF_KIND_VOLATILE |
			       1U << BTF_KIND_CONST | 1U << BTF_KIND_RESTRICT |
			       1U << BTF_KIND_TYPE_TAG;
	for (int i = 0; i < NAMES_MAX && go_to(b, id, ret); i++) {
		if (!(names >> BTF_INFO_KIND(ret->t.info) & 1))
			return true;
		id = ret->t.type;
	}
	return false;
}

static bool is_name(const struct btf *b, uint32_t name_off, const char *name)
{
	size_t size = strlen(name) + 1;
	return name_off < b->strings_len && b->strings_len - name_off >= size &&
	       memcmp(b->strings + name_off, name, size) == 0;
}

static bool is_structure(const struct btf *b, uint32_t id, const char *name)
{
	struct cursor c;
	return resolve(b, id, &c) && BTF_INFO_KIND(c.t.info) == BTF_KIND_STRUCT &&
	       is_name(b, c.t.name_off, name);
}

static bool has_form(const struct btf *b, uint32_t id, struct form form)
{
	const uint32_t sized = 1U << BTF_KIND_INT | 1U << BTF_KIND_ENUM | 1U << BTF_KIND_ENUM64 |
			       1U << BTF_KIND_STRUCT | 1U << BTF_KIND_UNION;
	struct cursor c;
	if (!form.pointer && !form.size)
		return true;
	if (!resolve(b, id, &c))
		return false;
	unsigned kind = BTF_INFO_KIND(c.t.info);
	if (kind == BTF_KIND_PTR)
		return form.pointer ? !form.target || is_structure(b, c.t.type, form.target)
				    : form.size == POINTER_SIZE;
	return !form.pointer && sized >> kind & 1 && c.t.size == form.size;
}

static int find_member(
	struct btf *b, const struct cursor *in, const char *name, struct form form, int depth)
{
	unsigned kind = BTF_INFO_KIND(in->t.info);
	if ((kind != BTF_KIND_STRUCT && kind != BTF_KIND_UNION) || depth > DEPTH_MAX)
		return -1;
	for (unsigned i = 0; i < BTF_INFO_VLEN(in->t.info); i++) {
		struct btf_member m;
		struct cursor inner;
		memcpy(&m, in->rest + i * sizeof(m), sizeof(m));
		uint32_t bits =
			BTF_INFO_KFLAG(in->t.info) ? BTF_MEMBER_BIT_OFFSET(m.offset) : m.offset;
		if (bits % 8 || bits / 8 > INT16_MAX)
			continue;
		if (m.name_off && is_name(b, m.name_off, name))
			return has_form(b, m.type, form) ? (int)(bits / 8) : -1;
		if (m.name_off || b->nameless == NAMELESS_MAX || !go_to(b, m.type, &inner))
			continue;
		b->nameless++;
		int at = find_member(b, &inner, name, form, depth + 1);
		if (at >= 0)
			return (int)(bits / 8) + at;
	}
	return -1;
}

static int find(
	const void *data, size_t len, const char *structure, const char *member, struct form form)
{
	struct btf b;
	struct cursor c;
	if (!parse(data, len, &b) || !find_named(&b, BTF_KIND_STRUCT, structure, &c))
		return -1;
	return find_member(&b, &c, member, form, 0);
}

/* --- many of the same data --- */

struct btf_index {
	struct btf b;
	uint32_t *at;	      /* b.at */
	uint32_t *structures; /* their ids */
	size_t n_structures;
};

static bool pass(struct btf_index *x)
{
	struct cursor c = x->b.types;
	const char *begin = c.p, *p = c.p;
	size_t most = (size_t)(c.end - c.p) / sizeof(struct btf_type) + 1;
	x->at = malloc(most * sizeof(*x->at));
	x->structures = malloc(most * sizeof(*x->structures));
	if (!x->at || !x->structures)
		return false;
	for (; next_type(&c); p = c.p) {
		x->at[c.id] = (uint32_t)(p - begin);
		if (BTF_INFO_KIND(c.t.info) == BTF_KIND_STRUCT)
			x->structures[x->n_structures++] = c.id;
	}
	x->b.at = x->at;
	x->b.n = c.id;
	return true;
}

struct btf_index *btf_index_make(const void *data, size_t len)
{
	struct btf_index *x = calloc(1, sizeof(*x));
	if (x && parse(data, len, &x->b) && pass(x))
		return x;
	btf_index_free(x);
	return NULL;
}

void btf_index_free(struct btf_index *x)
{
	if (!x)
		return;
	free(x->at);
	free(x->structures);
	free(x);
}

static bool find_structure(const struct btf_index *x, const char *name, struct cursor *ret)
{
	uint32_t name_off = find_string(x->b.strings, x->b.strings_len, name);
	for (size_t i = 0; name_off && i < x->n_structures; i++)
		if (go_to(&x->b, x->structures[i], ret) && ret->t.name_off == name_off)
			return true;
	return false;
}

bool btf_index_find(
	struct btf_index *x, const struct kernel_member *members, size_t n, uint32_t *ret)
{
	struct cursor c = {0};
	for (size_t i = 0; i < n; i++) {
		const struct kernel_member *m = &members[i];
		bool same = i && strcmp(m->structure, members[i - 1].structure) == 0;
		x->b.nameless = 0;
		int offset = same || find_structure(x, m->structure, &c)
				     ? find_member(&x->b, &c, m->member, (struct form){0}, 0)
				     : -1;
		if (offset < 0)
			return false;
		ret[i] = (uint32_t)offset;
	}
	return true;
}

int btf_find_member(const void *data, size_t len, const char *structure, const char *member)
{
	return find(data, len, structure, member, (struct form){0});
}

int btf_find_pointer(const void *data, size_t len, const char *structure, const char *member)
{
	return find(data, len, structure, member, (struct form){.pointer = true});
}

int btf_find_pointer_to(
	const void *data, size_t len, const char *structure, const char *member, const char *target)
{
	return find(data, len, structure, member, (struct form){.pointer = true, .target = target});
}

int btf_find_sized(
	const void *data, size_t len, const char *structure, const char *member, uint32_t size)
{
	return find(data, len, structure, member, (struct form){.size = size});
}
