/*
 * A directory of images as one input: for each file a byte, its name of that length, four bytes,
 * its contents of that length.  What is cut off counts as cut off.  Of a pages file the contents
 * are how many pages it has, and those that are not zero, each after its number.
 */
#ifndef FERMATA_TESTS_FUZZ_SET_H
#define FERMATA_TESTS_FUZZ_SET_H

#include "fuzz.h"
#include "image/dir.h"

struct set_file {
	enum image_type type;
	char name[IMAGE_NAME_MAX];
	const uint8_t *data;
	uint32_t size;
};

enum { SET_FILES_MAX = 64, SET_HEAD_MAX = 1 + IMAGE_NAME_MAX + 4 };

/* The next file of [*p, end); those that have no name of an image are passed over. */
bool set_next(const uint8_t **p, const uint8_t *end, struct set_file *ret);

/* Appends the file at `to`, which has room for SET_HEAD_MAX and the contents. Returns what follows.
 */
uint8_t *set_put(uint8_t *to, const char *name, const void *data, size_t size);

/* A real directory that holds such a set; only files that changed are written. */
struct set_dir {
	char path[64];
	int fd;
	size_t n;
	struct {
		char name[IMAGE_NAME_MAX];
		uint8_t *data;
		uint32_t size;
		bool wanted;
	} files[SET_FILES_MAX];
};

void set_dir_make(struct set_dir *d);
void set_dir_fill(struct set_dir *d, const uint8_t *data, size_t size);
void set_dir_remove(struct set_dir *d);

/*
 * What a restore does with the images of a directory before it forks: checks them, and if they are
 * good, plans all of it (--explain). 0 or a negative errno with a message, which MUST be there.
 */
int set_restore(const char *path);

#endif
