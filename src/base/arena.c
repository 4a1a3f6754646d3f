/* Bump allocator over malloc'ed chunks; see arena.h for who owns what. */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ARENA_CHUNK = 256 * 1024,
	ARENA_ALIGN = 16,
};

struct arena_chunk {
	struct arena_chunk *older;
	_Alignas(ARENA_ALIGN) char data[];
};

static void arena_add_chunk(struct arena *a, size_t room)
{
	struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + room);
	if (!chunk) {
		fputs("fermata: out of memory\n", stderr);
		_Exit(1);
	}
	chunk->older = a->chunks;
	a->chunks = chunk;
	a->next = chunk->data;
	a->end = chunk->data + room;
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t need = ((size ? size : 1) + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (need < size)
		need = size; /* overflow: calloc() below refuses it */
	if ((size_t)(a->end - a->next) < need)
		arena_add_chunk(a, need > ARENA_CHUNK / 2 ? need : ARENA_CHUNK);
	char *p = a->next;
	a->next += need;
	return p;
}

void *arena_memdup(struct arena *a, const void *data, size_t size)
{
	void *copy = arena_alloc(a, size);
	if (size)
		memcpy(copy, data, size);
	return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return arena_memdup(a, text, strlen(text) + 1);
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0)
		return arena_strdup(a, fmt);
	char *text = arena_alloc(a, (size_t)len + 1);
	vsnprintf(text, (size_t)len + 1, fmt, ap);
	return text;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return text;
}

void *arena_grow(struct arena *a, void *elems, size_t n_elems, size_t *cap, size_t elem_size)
{
	if (n_elems < *cap)
		return elems;
	size_t cap_new = *cap ? *cap * 2 : 8;
	void *grown = arena_alloc(a, cap_new * elem_size);
	if (n_elems)
		memcpy(grown, elems, n_elems * elem_size);
	*cap = cap_new;
	return grown;
}

void arena_adopt(struct arena *a, struct arena *from)
{
	struct arena_chunk **oldest = &a->chunks;
	while (*oldest)
		oldest = &(*oldest)->older;
	*oldest = from->chunks;
	*from = (struct arena){0};
}

void arena_release(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *older = a->chunks->older;
		free(a->chunks);
		a->chunks = older;
	}
	a->next = a->end = NULL;
}
