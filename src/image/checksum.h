/*
 * Checksums of images: fermata-checksums.img, which a dump with --checksum leaves beside them.
 *
 * It has the name, size and sums of every file *.img of the directory, so that a changed, lost,
 * added or renamed one is found; the reference ignores it.  Its last record is for the file itself.
 * Sums are XXH3 (64 bits) of chunks: small ones, where that costs nothing, tell where the damage
 * is.
 */
#ifndef FERMATA_IMAGE_CHECKSUM_H
#define FERMATA_IMAGE_CHECKSUM_H

#include "image/codec.h"

/* For checksum_*.c: a file of the directory. */
struct summed_file {
	const char *name;
	uint64_t size, chunk_size;
	uint64_t *sums;	   /* checksums_count() of them; NULL: not computed yet */
	const bool *known; /* which of them are; NULL: none */
};
typedef VEC(struct summed_file) summed_files;

/* Into what a file of that size is cut. */
uint64_t checksums_chunk_size(uint64_t file_size);

/* How many chunks a file has; an empty one has none. */
size_t checksums_count(const struct summed_file *file);

/* All files *.img but that of the checksums, by name; without sums. */
int checksums_list(struct session *s, const struct image_dir *dir, summed_files *ret);

/* Computes the sums of files that are not known, with two threads if there is much to read. */
int checksums_compute(struct session *s, const struct image_dir *dir, summed_files *files);

uint64_t checksums_of(const void *data, size_t len);

/* Of a part of a file; -EBADMSG if it ends before. Records no failure. */
int checksums_of_part(int fd, uint64_t at, uint64_t len, uint64_t *ret);

/*
 * checksum_early.c: sums of a large file while it is being written, by who would wait meanwhile.
 * checksums_write() computes what is missing.
 */
struct early_sums;

/* From now on the dump of this session is one with checksums. */
void checksums_begin(struct session *s);

/* For a file of that size, to be written by the caller; NULL: its sums are not wanted. */
struct early_sums *checksums_early(
	struct session *s, enum image_type type, uint64_t id, uint64_t size);

/* All below end, or from begin on, is written: computes the sums of what was not. e may be NULL. */
void checksums_ahead(struct early_sums *e, int fd, uint64_t end);
void checksums_behind(struct early_sums *e, int fd, uint64_t begin);

/* Something was written there after all. e may be NULL. */
void checksums_changed(struct early_sums *e, uint64_t offset, uint64_t len);

/* Takes over for a file of the session's directory what is known of it. */
void checksums_take_early(struct session *s, struct summed_file *file);

/*
 * Writes the checksums of all images that are in the session's directory, and of one more: last,
 * which is complete but not written yet; NULL: there is none.
 */
int checksums_write(struct session *s, const struct image_writer *last);

/*
 * Compares the images of the session's directory with its checksums. If there are none, or the
 * options say not to look at them, there is nothing to do.
 */
int checksums_verify(struct session *s);

#endif
