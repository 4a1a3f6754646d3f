/* BTF, the kernel's own description of its types and functions (Documentation/bpf/btf.rst). */
#ifndef FERMATA_KERNEL_BTF_H
#define FERMATA_KERNEL_BTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The id of the function of that name; 0: there is none, or the data is malformed. */
uint32_t btf_find_function(const void *data, size_t len, const char *name);

/*
 * Bytes from the beginning of the structure to its member, which may be in an anonymous structure
 * or union of it; at most INT16_MAX, what an instruction of BPF can hold, twice. -1: there is none.
 */
int btf_find_member(const void *data, size_t len, const char *structure, const char *member);

/* The same; -1 also if it is no pointer. */
int btf_find_pointer(const void *data, size_t len, const char *structure, const char *member);

/* The same; -1 also if what it points to is not that structure. */
int btf_find_pointer_to(const void *data, size_t len, const char *structure, const char *member,
	const char *target);

/* The same; -1 also if it is not a number, pointer or structure of that many bytes. */
int btf_find_sized(
	const void *data, size_t len, const char *structure, const char *member, uint32_t size);

struct kernel_member {
	const char *structure, *member;
};

struct btf_index;

/* For who asks for many of the same data, which must stay; NULL: it is malformed, or no memory. */
struct btf_index *btf_index_make(const void *data, size_t len);
void btf_index_free(struct btf_index *x);

/* Offsets as btf_find_member() tells them; false: one is not there. */
bool btf_index_find(
	struct btf_index *x, const struct kernel_member *members, size_t n, uint32_t *ret);

#endif
