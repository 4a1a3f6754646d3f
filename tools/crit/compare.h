/* Comparing two of a kind for crit diff, and printing what differs under headings. */
#ifndef CRIT_COMPARE_H
#define CRIT_COMPARE_H

#include "base/session.h"
#include "image/codec.h"

/* Headings are printed only when a line follows. */
struct report {
	struct session *s;
	const char *title, *heading; /* waiting to be printed, or NULL */
};

void title(struct report *r, const char *text);	  /* of a task */
void heading(struct report *r, const char *text); /* of a kind */
void line(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Every field that differs: "~ PATH: OLD -> NEW", PATH after prefix. Ids are passed over. */
void compare_messages(
	struct report *r, const char *prefix, const ProtobufCMessage *a, const ProtobufCMessage *b);

/* How many private pages of a task came, went and changed. */
int compare_pages(
	struct report *r, struct session *s, const struct image_dir *const dirs[2], uint32_t pid);

#endif
