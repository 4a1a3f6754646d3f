/*
 * JSON text, written as it comes: nothing is kept but the nesting.
 *
 * Layout is that of Python's json module, which crit's users compare against: on one line with
 * ", " and ": ", or indented by four.  Text that is not UTF-8 (paths may be anything) is kept: each
 * stray byte B becomes the private character U+10FF00 + B, and so do the bytes of such a character
 * when the text holds one; json_text_bytes() undoes both.
 */
#ifndef FERMATA_BASE_JSON_WRITER_H
#define FERMATA_BASE_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_writer {
	FILE *out;
	bool pretty;
	bool for_html; /* may stand in a script element: no "<" in it */
	unsigned depth;
	bool filled;	/* the innermost object or list has an element */
	bool after_key; /* the next value belongs to a key */
};

void json_write_begin(struct json_writer *w, char bracket); /* '{' or '[' */
void json_write_end(struct json_writer *w, char bracket);   /* '}' or ']' */
void json_write_key(struct json_writer *w, const char *name);
void json_write_unsigned(struct json_writer *w, uint64_t value);
void json_write_signed(struct json_writer *w, int64_t value);
void json_write_bool(struct json_writer *w, bool value);
void json_write_text(struct json_writer *w, const char *text, size_t len);
void json_write_string(struct json_writer *w, const char *text);

/* A string in parts, for long ones: begin, any number of parts, end. */
void json_write_begin_text(struct json_writer *w);
void json_write_text_part(struct json_writer *w, const char *text, size_t len);
void json_write_end_text(struct json_writer *w);

/* What json_write_text() was given, from the UTF-8 it wrote; in place. Returns the new length. */
size_t json_text_bytes(char *text, size_t len);

#endif
