/* See json_writer.h. */
#include "base/json_writer.h"

#include <inttypes.h>
#include <string.h>

enum { STRAY = 0x10ff00, INDENT = 4 };

static void new_line(struct json_writer *w)
{
	fprintf(w->out, "\n%*s", (int)(w->depth * INDENT), "");
}

/* What stands between this element and the one before. */
static void separate(struct json_writer *w)
{
	if (!w->after_key && w->depth) {
		if (w->filled)
			fputs(w->pretty ? "," : ", ", w->out);
		if (w->pretty)
			new_line(w);
	}
	w->after_key = false;
	w->filled = true;
}

void json_write_begin(struct json_writer *w, char bracket)
{
	separate(w);
	fputc(bracket, w->out);
	w->depth++;
	w->filled = false;
}

void json_write_end(struct json_writer *w, char bracket)
{
	w->depth--;
	if (w->filled && w->pretty)
		new_line(w);
	fputc(bracket, w->out);
	w->filled = true;
}

void json_write_key(struct json_writer *w, const char *name)
{
	json_write_string(w, name);
	fputs(": ", w->out);
	w->after_key = true;
}

void json_write_unsigned(struct json_writer *w, uint64_t value)
{
	separate(w);
	fprintf(w->out, "%" PRIu64, value);
}

void json_write_signed(struct json_writer *w, int64_t value)
{
	separate(w);
	fprintf(w->out, "%" PRId64, value);
}

void json_write_bool(struct json_writer *w, bool value)
{
	separate(w);
	fputs(value ? "true" : "false", w->out);
}

/* The character that text begins with and its length; 0 when it is not UTF-8 or a stray mark. */
static size_t take_character(const unsigned char *text, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = text[0] < 0x80	  ? 1
		   : text[0] >> 5 == 0x06 ? 2
		   : text[0] >> 4 == 0x0e ? 3
		   : text[0] >> 3 == 0x1e ? 4
					  : 0;
	if (!n || n > len)
		return 0;
	uint32_t c = n == 1 ? text[0] : text[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (text[i] >> 6 != 2)
			return 0;
		c = c << 6 | (text[i] & 0x3f);
	}
	if (c < least[n] || c >= STRAY || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

static void put_character(struct json_writer *w, uint32_t c)
{
	FILE *out = w->out;
	static const char named[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
	const char *at = c && c < 0x80 ? strchr(named, (int)c) : NULL;
	if (at)
		fprintf(out, "\\%c", letters[at - named]);
	else if (c >= 0x20 && c < 0x7f && !(c == '<' && w->for_html))
		fputc((int)c, out);
	else if (c < 0x10000)
		fprintf(out, "\\u%04" PRIx32, c);
	else
		fprintf(out, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((c - 0x10000) >> 10),
			0xdc00 + ((c - 0x10000) & 0x3ff));
}

void json_write_begin_text(struct json_writer *w)
{
	separate(w);
	fputc('"', w->out);
}

void json_write_text_part(struct json_writer *w, const char *text, size_t len)
{
	while (len) {
		uint32_t c;
		size_t n = take_character((const unsigned char *)text, len, &c);
		if (!n) {
			c = STRAY + (unsigned char)*text;
			n = 1;
		}
		put_character(w, c);
		text += n;
		len -= n;
	}
}

void json_write_end_text(struct json_writer *w)
{
	fputc('"', w->out);
}

void json_write_text(struct json_writer *w, const char *text, size_t len)
{
	json_write_begin_text(w);
	json_write_text_part(w, text, len);
	json_write_end_text(w);
}

void json_write_string(struct json_writer *w, const char *text)
{
	json_write_text(w, text, strlen(text));
}

size_t json_text_bytes(char *text, size_t len)
{
	/* U+10FF00 to U+10FFFF in UTF-8: F4 8F BC..BF 80..BF. */
	size_t to = 0;
	for (size_t i = 0; i < len; i++, to++) {
		const unsigned char *p = (const unsigned char *)text + i;
		if (len - i >= 4 && p[0] == 0xf4 && p[1] == 0x8f && p[2] >= 0xbc &&
			p[3] >> 6 == 2) {
			text[to] = (char)((p[2] & 3) << 6 | (p[3] & 0x3f));
			i += 3;
		} else {
			text[to] = text[i];
		}
	}
	return to;
}
