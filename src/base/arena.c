/*
 * Bump allocator over chunks; see arena.h for who owns what.
 *
 * A small run fits into the first chunk, a middling one into two.  The chunks of a larger one are huge
 * pages where the kernel has some: faulting memory in page by page was a fifth of the restore of 1000
 * threads.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	FIRST_CHUNK = 256 * 1024,
	SECOND_CHUNK = 768 * 1024,
	HUGE_CHUNK = 2 * 1024 * 1024,
	ARENA_ALIGN = 16,
	LOAN_MIN = 1024,
};

struct arena_chunk {
	struct arena_chunk *older;
	void *mapping; /* NULL: of malloc */
	size_t mapped;
	_Alignas(ARENA_ALIGN) char data[];
};

/* Before the bytes that are lent. */
struct arena_loan {
	struct arena_loan *next; /* while it is here */
	unsigned class;
	_Alignas(ARENA_ALIGN) char data[];
};

/* Aligned, or NULL. */
static struct arena_chunk *map_huge_chunk(void)
{
	size_t len = (size_t)2 * HUGE_CHUNK; /* of addresses; never touched outside of the aligned half */
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	uintptr_t aligned = ((uintptr_t)p + HUGE_CHUNK - 1) & ~(uintptr_t)(HUGE_CHUNK - 1);
	struct arena_chunk *chunk = (struct arena_chunk *)aligned;
	madvise(chunk, HUGE_CHUNK, MADV_HUGEPAGE);
	chunk->mapping = p;
	chunk->mapped = len;
	return chunk;
}

static void arena_add_chunk(struct arena *a, size_t need)
{
	size_t size = HUGE_CHUNK;
	struct arena_chunk *chunk = NULL;
	if (a->chunks && a->chunks->older && need <= HUGE_CHUNK / 2)
		chunk = map_huge_chunk();
	if (!chunk) {
		size_t least = a->chunks ? SECOND_CHUNK : FIRST_CHUNK;
		size = sizeof(*chunk) + (need > least / 2 ? need : least);
		chunk = size < need ? NULL : calloc(1, size);
	}
	if (!chunk) {
		fputs("fermata: out of memory\n", stderr);
		_Exit(1);
	}
	chunk->older = a->chunks;
	a->chunks = chunk;
	a->next = chunk->data;
	a->end = (char *)chunk + size;
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t need = ((size ? size : 1) + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (need < size)
		need = size; /* overflow: refused below */
	if ((size_t)(a->end - a->next) < need)
		arena_add_chunk(a, need);
	char *p = a->next;
	a->next += need;
	return p;
}

/* Small ones are not rounded up, and never lent twice: that is not worth it. */
void *arena_lend(struct arena *a, size_t size)
{
	unsigned class = size < LOAN_MIN ? 0 : 64 - (unsigned)__builtin_clzl(size - 1);
	struct arena_loan *loan = class < ARENA_CLASSES ? a->returned[class] : NULL;
	if (loan) {
		a->returned[class] = loan->next;
		return loan->data;
	}
	size_t room = class && class < ARENA_CLASSES ? (size_t)1 << class : size;
	loan = arena_alloc(a, room > SIZE_MAX / 2 ? room : sizeof(*loan) + room);
	loan->class = class;
	return loan->data;
}

void arena_take_back(struct arena *a, void *p)
{
	struct arena_loan *loan = (struct arena_loan *)((char *)p - offsetof(struct arena_loan, data));
	if (!loan->class || loan->class >= ARENA_CLASSES)
		return;
	loan->next = a->returned[loan->class];
	a->returned[loan->class] = loan;
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
		if (a->chunks->mapping)
			munmap(a->chunks->mapping, a->chunks->mapped);
		else
			free(a->chunks);
		a->chunks = older;
	}
	*a = (struct arena){0};
}
