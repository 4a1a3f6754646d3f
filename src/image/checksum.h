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
	uint64_t *sums; /* checksums_count() of them; NULL: not computed yet */
};
typedef VEC(struct summed_file) summed_files;

/* How many chunks a file has; an empty one has none. */
size_t checksums_count(const struct summed_file *file);

/* All files *.img but that of the checksums, by name; without sums. */
int checksums_list(struct session *s, const struct image_dir *dir, summed_files *ret);

/* Computes the sums of files, with two threads if there is much to read. */
int checksums_compute(struct session *s, const struct image_dir *dir, summed_files *files);

uint64_t checksums_of(const void *data, size_t len);

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
