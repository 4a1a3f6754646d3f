/* Which descriptors have the same open file (description.c).  Internal to src/file. */
#ifndef FERMATA_FILE_DESCRIPTION_H
#define FERMATA_FILE_DESCRIPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/file_identity.h"

struct dumped_file;
struct file_dump;
struct file_view;
struct description;

/* An open file, from the moment that it is told from all others. */
struct dumped_file *description_file(const struct description *x); /* NULL: not collected yet */
void description_set_file(struct description *x, struct dumped_file *f);

/* Sets v->description, to a new one if the open file was not met before. */
int description_find(struct file_dump *d, struct file_view *v);

/* What the kernel tells of all descriptors of a table, when it is worth asking. */
struct identities {
	int pidfd;
	size_t n_fds; /* in the table, or more */
	bool asked;
	file_identity_vec all; /* empty: it does not tell */
};

/* NULL: it was not asked yet, or it does not tell. */
const struct file_identity *identity_of(const struct identities *table, int fd);

/*
 * The same for each of views, all of that table: in fewer calls of kcmp(2), which two threads make,
 * or in none.
 */
int descriptions_find(
	struct file_dump *d, struct identities *table, struct file_view *const *views, size_t n);

#endif
