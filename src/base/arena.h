/*
 * Bump allocator: everything a run learns lives until its end.
 *
 * One arena belongs to one session.  Objects are zeroed and never freed one by one, so
 * ownership needs no words: whoever has the session may keep the pointer.  Exhaustion ends the
 * controller (exit status 1); tasks under dump then return to their own life by themselves
 * (see engine/inject.h), so no caller needs an error path for memory.
 */
#ifndef FERMATA_BASE_ARENA_H
#define FERMATA_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_chunk;
struct arena_loan;

enum { ARENA_CLASSES = 32 };

struct arena {
	struct arena_chunk *chunks;
	char *next, *end; /* free room of the newest chunk */
	struct arena_loan *returned[ARENA_CLASSES]; /* by size: of 1 << class bytes */
};

/* Returns size zeroed bytes, aligned to 16. Never NULL. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_memdup(struct arena *a, const void *data, size_t size);
char *arena_strdup(struct arena *a, const char *text);
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0), nonnull));
void arena_release(struct arena *a);

/* As arena_alloc(), but not zeroed; may be given back, and is then lent again. */
void *arena_lend(struct arena *a, size_t size);
void arena_take_back(struct arena *a, void *loan);

/* Takes over all objects of `from`, which is empty afterwards. */
void arena_adopt(struct arena *a, struct arena *from);

#define arena_new(a, type)        ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n)   ((type *)arena_alloc((a), sizeof(type) * (size_t)(n)))

/* Room for one more element of a growing array of n_elems, each elem_size bytes; *cap is kept in elements. */
void *arena_grow(struct arena *a, void *elems, size_t n_elems, size_t *cap, size_t elem_size);

/*
 * A growing array in an arena: VEC(struct vma) vmas;  *vec_push(a, &vmas) = v;
 * Pointers to elements move when it grows.
 */
#define VEC(type)                                                                                  \
	struct {                                                                                   \
		type *v;                                                                           \
		size_t n, cap;                                                                     \
	}

#define vec_push(a, vec)                                                                           \
	((vec)->v = arena_grow((a), (vec)->v, (vec)->n, &(vec)->cap, sizeof(*(vec)->v)),           \
		&(vec)->v[(vec)->n++])

#define vec_for_each(vec, it)                                                                      \
	for (__typeof__(1 ? (vec)->v : (void *)0) it = (vec)->v;                                   \
		(vec)->n && it < (vec)->v + (vec)->n; it++)

#endif
