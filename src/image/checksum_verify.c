/*
 * Checking images against fermata-checksums.img, before anything else is done with them.
 *
 * First that file itself, which must be whole, then that the files are those it names, then their
 * sizes and contents; so the message tells what really happened.
 */
#include "image/checksum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/options.h"
#include "fermata.pb-c.h"

static const char remedy[] =
	"take another copy of the images; if they were changed on purpose, or dumped by another "
	"tool "
	"meanwhile, --no-checksum restores them and crit checksum makes new checksums";

#define damaged(s, ...) fail_remedy((s), EBADMSG, remedy, __VA_ARGS__)

static int damaged_list(struct session *s)
{
	return damaged(s, "%s/%s is damaged itself", s->images->path,
		image_kind(IMG_FERMATA_CHECKSUMS)->pattern);
}

/* --- the file of the checksums --- */

static bool is_sane(const FermataChecksumEntry *e)
{
	struct summed_file file = {.size = e->size, .chunk_size = e->chunk_size};
	return *e->name && !strchr(e->name, '/') && (e->chunk_size || !e->size) &&
	       checksums_count(&file) == e->n_xxh3;
}

static int verify_own(struct session *s, const FermataChecksumEntry *e, uint64_t start)
{
	if (strcmp(e->name, image_kind(IMG_FERMATA_CHECKSUMS)->pattern) != 0 || e->size != start ||
		e->chunk_size != start || e->n_xxh3 != 1)
		return damaged_list(s);
	summed_files own = {0};
	*vec_push(&s->arena, &own) =
		(struct summed_file){.name = e->name, .size = e->size, .chunk_size = e->chunk_size};
	int r = checksums_compute(s, s->images, &own);
	return r < 0 || own.v[0].sums[0] == e->xxh3[0] ? r : damaged_list(s);
}

/* Returns 1, or 0 if there is no such file. */
static int load(struct session *s, summed_files *ret)
{
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	int r = image_reader_open(s, &reader, s->images, IMG_FERMATA_CHECKSUMS, 0);
	const FermataChecksumEntry *last = NULL;
	uint64_t start = 0;
	if (r >= 0 && reader.fd < 0)
		return 0;
	while (r >= 0) {
		uint64_t at = reader.pos;
		ProtobufCMessage *m;
		r = image_read(s, &reader, &m);
		if (r <= 0)
			break;
		last = (const FermataChecksumEntry *)m;
		start = at;
		if (!is_sane(last))
			return damaged_list(s);
		*vec_push(&s->arena, ret) = (struct summed_file){
			last->name, last->size, last->chunk_size, last->xxh3, NULL};
	}
	if (r == -EBADMSG && !s->failure.remedy)
		s->failure.remedy = remedy;
	if (r < 0)
		return r;
	if (!last)
		return damaged_list(s);
	ret->n--;
	r = verify_own(s, last, start);
	return r < 0 ? r : 1;
}

/* --- which files there are --- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct summed_file *)a)->name, ((const struct summed_file *)b)->name);
}

/* The first of a that is not in b; both are sorted. */
static const struct summed_file *first_without(const summed_files *a, const summed_files *b)
{
	size_t k = 0;
	vec_for_each (a, f) {
		while (k < b->n && strcmp(b->v[k].name, f->name) < 0)
			k++;
		if (k == b->n || strcmp(b->v[k].name, f->name) != 0)
			return f;
	}
	return NULL;
}

static int compare_names(struct session *s, const summed_files *due, const summed_files *found)
{
	const struct summed_file *lost = first_without(due, found);
	const struct summed_file *added = first_without(found, due);
	const char *dir = s->images->path;
	if (lost && added)
		return damaged(s, "%s/%s is missing, and %s was not there when this was dumped",
			dir, lost->name, added->name);
	if (lost)
		return damaged(s, "%s/%s is missing", dir, lost->name);
	if (added)
		return damaged(s, "%s/%s was not there when this was dumped", dir, added->name);
	for (size_t i = 0; i < due->n; i++) {
		if (i && strcmp(due->v[i].name, due->v[i - 1].name) == 0)
			return damaged_list(s);
		if (due->v[i].size != found->v[i].size)
			return damaged(s, "%s/%s has %ju bytes, when dumped it had %ju", dir,
				due->v[i].name, (uintmax_t)found->v[i].size,
				(uintmax_t)due->v[i].size);
	}
	return 0;
}

/* --- what is in them --- */

static int compare_contents(struct session *s, const summed_files *due, const summed_files *found)
{
	const struct summed_file *first = NULL;
	size_t at = 0, n = 0;
	for (size_t i = 0; i < due->n; i++) {
		const struct summed_file *f = &due->v[i];
		for (size_t k = 0; k < checksums_count(f); k++) {
			if (f->sums[k] == found->v[i].sums[k])
				continue;
			at = first ? at : k;
			first = first ? first : f;
			n++;
		}
	}
	if (!first)
		return 0;
	uint64_t offset = at * first->chunk_size, len = first->size - offset;
	len = len < first->chunk_size ? len : first->chunk_size;
	if (n == 1)
		return damaged(s,
			"%s/%s: offset %ju: the %ju bytes there are not those that were dumped",
			s->images->path, first->name, (uintmax_t)offset, (uintmax_t)len);
	return damaged(s,
		"%s/%s: offset %ju: the %ju bytes there are not those that were dumped, nor are "
		"%zu more chunks",
		s->images->path, first->name, (uintmax_t)offset, (uintmax_t)len, n - 1);
}

static bool is_wanted(const struct options *o)
{
	return o->checksum || !option_given(o, "checksum");
}

int checksums_verify(struct session *s)
{
	summed_files due = {0}, found = {0};
	int r = is_wanted(s->opt) ? load(s, &due) : 0;
	if (r <= 0)
		return r;
	qsort(due.v, due.n, sizeof(*due.v), by_name);
	r = checksums_list(s, s->images, &found);
	if (r >= 0)
		r = compare_names(s, &due, &found);
	for (size_t i = 0; i < due.n && r >= 0; i++)
		found.v[i].chunk_size = due.v[i].chunk_size;
	if (r >= 0)
		r = checksums_compute(s, s->images, &found);
	return r < 0 ? r : compare_contents(s, &due, &found);
}
