/* Writing fermata-checksums.img. What is summed is read back from the files, which are in memory.
 */
#include "image/checksum.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fermata.pb-c.h"

static int write_record(struct session *s, struct image_writer *w, const struct summed_file *file)
{
	FermataChecksumEntry e = FERMATA_CHECKSUM_ENTRY__INIT;
	e.name = (char *)(uintptr_t)file->name;
	e.size = file->size;
	e.chunk_size = file->chunk_size;
	e.n_xxh3 = checksums_count(file);
	e.xxh3 = file->sums;
	return image_write(s, w, &e.base);
}

/* Of the image that is only in memory. A stale one of that name is about to be overwritten. */
static int write_last(struct session *s, struct image_writer *w, const struct image_writer *last)
{
	char name[IMAGE_NAME_MAX];
	image_name(last->type, last->id, name);
	uint64_t sum = checksums_of(last->data, last->used);
	return write_record(s, w, &(struct summed_file){name, last->used, last->used, &sum, NULL});
}

/* Of all that was written here so far. */
static int write_own(struct session *s, struct image_writer *w)
{
	int fd;
	int r = image_writer_fd(s, w, &fd);
	off_t size = r < 0 ? 0 : lseek(fd, 0, SEEK_CUR);
	summed_files own = {0};
	*vec_push(&s->arena, &own) = (struct summed_file){.name = image_kind(w->type)->pattern,
		.size = (uint64_t)size,
		.chunk_size = (uint64_t)size};
	if (r >= 0)
		r = checksums_compute(s, s->images, &own);
	return r < 0 ? r : write_record(s, w, &own.v[0]);
}

int checksums_write(struct session *s, const struct image_writer *last)
{
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	uint64_t start_us = now_us();
	char skip[IMAGE_NAME_MAX] = "";
	summed_files all = {0}, files = {0};
	image_writer_init(&w, s->images, IMG_FERMATA_CHECKSUMS, 0);
	if (last)
		image_name(last->type, last->id, skip);
	int r = checksums_list(s, s->images, &all);
	vec_for_each (&all, f) {
		if (strcmp(f->name, skip) == 0)
			continue;
		checksums_take_early(s, f);
		*vec_push(&s->arena, &files) = *f;
	}
	if (r >= 0)
		r = checksums_compute(s, s->images, &files);
	for (size_t i = 0; i < files.n && r >= 0; i++)
		r = write_record(s, &w, &files.v[i]);
	if (r >= 0 && last)
		r = write_last(s, &w, last);
	if (r >= 0)
		r = write_own(s, &w);
	if (r >= 0)
		r = image_writer_close(s, &w);
	log_debug(s, "Checksums of %zu files took %ju us at the end", files.n,
		(uintmax_t)(now_us() - start_us));
	return r;
}
