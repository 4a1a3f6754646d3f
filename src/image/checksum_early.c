/*
 * Sums of pages while a task writes them itself: the controller, which would only wait, reads what
 * the round before has written, and what it has put at the end of the file, while that is warm.
 *
 * Two lanes may each write a file; the list of them is all that they share.
 */
#include "image/checksum.h"

#include <string.h>

struct early_sums {
	struct summed_file file;
	bool *known;
	size_t done, back; /* chunks below, and from there on, were summed once */
	struct early_sums *next;
};

struct checksums {
	struct early_sums *all;
};

void checksums_begin(struct session *s)
{
	s->checksums = arena_new(&s->arena, struct checksums);
}

struct early_sums *checksums_early(
	struct session *s, enum image_type type, uint64_t id, uint64_t size)
{
	if (!s->checksums)
		return NULL;
	char name[IMAGE_NAME_MAX];
	image_name(type, id, name);
	struct early_sums *e = arena_new(&s->arena, struct early_sums);
	e->file = (struct summed_file){.name = arena_strdup(&s->arena, name),
		.size = size,
		.chunk_size = checksums_chunk_size(size)};
	e->file.sums = arena_array(&s->arena, uint64_t, checksums_count(&e->file));
	e->file.known = e->known = arena_array(&s->arena, bool, checksums_count(&e->file));
	e->back = checksums_count(&e->file);
	e->next = __atomic_load_n(&s->checksums->all, __ATOMIC_ACQUIRE);
	while (!__atomic_compare_exchange_n(&s->checksums->all, &e->next, e, /* weak= */ true,
		__ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
		;
	return e;
}

/* What fails here is tried again when all is written, and told then. */
static void sum(struct early_sums *e, int fd, size_t i)
{
	uint64_t at = i * e->file.chunk_size, left = e->file.size - at;
	uint64_t len = left < e->file.chunk_size ? left : e->file.chunk_size;
	e->known[i] = checksums_of_part(fd, at, len, &e->file.sums[i]) >= 0;
}

void checksums_ahead(struct early_sums *e, int fd, uint64_t end)
{
	for (; e && e->done < e->back && (e->done + 1) * e->file.chunk_size <= end; e->done++)
		sum(e, fd, e->done);
}

void checksums_behind(struct early_sums *e, int fd, uint64_t begin)
{
	for (; e && e->done < e->back && (e->back - 1) * e->file.chunk_size >= begin; e->back--)
		sum(e, fd, e->back - 1);
}

void checksums_changed(struct early_sums *e, uint64_t offset, uint64_t len)
{
	if (!e || !len)
		return;
	uint64_t size = e->file.chunk_size;
	for (uint64_t i = offset / size; i <= (offset + len - 1) / size; i++)
		e->known[i] = false;
}

void checksums_take_early(struct session *s, struct summed_file *file)
{
	struct early_sums *e = s->checksums ? s->checksums->all : NULL;
	for (; e; e = e->next)
		if (strcmp(e->file.name, file->name) == 0 && e->file.size == file->size)
			*file = e->file;
}
