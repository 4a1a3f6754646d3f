/* What the commands of crit share. */
#ifndef CRIT_H
#define CRIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json_writer.h"
#include "base/session.h"
#include "image/codec.h"
#include "image/presentation.h"

struct json_object;

/* What the command line says. */
struct crit {
	struct session *s;
	const char *in, *out; /* NULL: standard input, standard output */
	bool pretty, no_payload;
	const char *dir, *other, *what; /* of commands that take a directory */
};

/* Commands; 0 or a negative errno with the failure recorded. */
int crit_decode(struct crit *c);
int crit_encode(struct crit *c);
int crit_info(struct crit *c);
int crit_show(struct crit *c);
int crit_explore(struct crit *c);
int crit_check(struct crit *c);
int crit_checksum(struct crit *c);
int crit_diff(struct crit *c);
int crit_report(struct crit *c);

/* files.c: opens c->in as a regular file that can be read at any offset (pipes are copied). */
int crit_open_input(struct crit *c, int *ret_fd, const char **ret_label);
/* The same, as an image of whatever type. */
int crit_open_image(struct crit *c, struct image_reader *r);
/* c->out, or standard output. */
int crit_open_output(struct crit *c, FILE **ret);
/* Closes it and returns err, or that it could not be written; a file is removed on failure. */
int crit_close_output(struct crit *c, FILE *out, int err);

/* decode.c: all fields of m, as members of the object that is open. */
void decode_fields(struct session *s, struct json_writer *w, const ProtobufCMessage *m);

/* One of them, as key and value; false if it is absent. */
bool decode_field(struct session *s, struct json_writer *w, const ProtobufCMessage *m,
	const ProtobufCFieldDescriptor *f);

/* encode.c: a message from an object, in the arena; unknown members are left alone. */
int encode_message(struct session *s, const ProtobufCMessageDescriptor *type,
	struct json_object *object, ProtobufCMessage **ret);

/* field.c: bytes of one element of a field in its message; how many it has, of an optional one 0 or
 * 1; where the i-th is. */
size_t field_size(ProtobufCType type);
size_t field_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);
const void *field_at(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i);

/* payload.c: what follows a record, as its member `extra`. */
int payload_decode(
	struct crit *c, struct json_writer *w, struct image_reader *r, const ProtobufCMessage *m);
int payload_encode(struct session *s, struct image_writer *w, const ProtobufCMessage *m,
	struct json_object *object);

/* number.c: integers as text. The buffer is good for the longest list of flags. */
enum { NUMBER_MAX = 1024 };
/* Returns false where a plain number is to be shown. */
bool number_to_text(const struct presentation *how, uint64_t value, char text[static NUMBER_MAX]);
/* how may be NULL. Returns false if the text is none of what number_to_text() writes, and no
 * number. */
bool number_from_text(const struct presentation *how, const char *text, uint64_t *ret);

/* base64.c: lines of 76 characters, each ended by a newline. */
size_t base64_encode(const void *data, size_t len, char *to); /* room: base64_size() */
size_t base64_size(size_t len);
/* Ignores white space. Returns the length, or -1 for anything else that is not base64. */
ssize_t base64_decode(const char *text, size_t len, void *to);
enum { BASE64_LINE = 57 }; /* bytes that one line holds */

/* quoted.c: names of unix sockets as quoted-printable text; both NUL-terminated in the arena. */
char *quoted_encode(struct session *s, const void *data, size_t len);
size_t quoted_decode(const char *text, char *to); /* to: as long as text */

#endif
