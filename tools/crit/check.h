/* What check.c and references.c share. */
#ifndef CRIT_CHECK_H
#define CRIT_CHECK_H

#include "base/session.h"
#include "image/codec.h"

/* Spaces of ids. */
enum reference_kind { REF_FILE, REF_PIPE, REF_FIFO, REF_MEMFD, REF_TTY, REF_TASK };

struct reference {
	enum reference_kind kind;
	uint64_t id;
	const char *where; /* names who refers to it; NULL: this is the thing itself */
};

struct check {
	struct session *s;
	const struct image_dir *dir;
	size_t n_images, n_records, n_problems;
	VEC(struct reference) references;
};

void problem(struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void reference(struct check *k, enum reference_kind kind, uint64_t id, const char *where);
/* All ids in m and below: what it is and what it refers to. */
void references_note(struct check *k, const char *image, const ProtobufCMessage *m);
/* Problems for all that refer to nothing. */
void references_resolve(struct check *k);

#endif
