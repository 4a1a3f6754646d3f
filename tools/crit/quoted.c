/* Quoted-printable text (RFC 2045) of names that are bytes: of unix sockets, abstract ones too. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "crit.h"

enum { LINE = 76 };

static bool stays(const unsigned char *text, size_t len, size_t at)
{
	unsigned char c = text[at];
	if (c == ' ' || c == '\t')
		return at + 1 < len && text[at + 1] != '\n';
	return c == '\n' || (c > ' ' && c < 0x7f && c != '=');
}

char *quoted_encode(struct session *s, const void *data, size_t len)
{
	const unsigned char *text = data;
	char *out = arena_alloc(&s->arena, len * 4 + 8), *to = out;
	size_t column = 0;
	for (size_t i = 0; i < len; i++) {
		bool plain = stays(text, len, i);
		size_t width = plain ? 1 : 3;
		/* A soft break, unless this is the last of its line. */
		bool last = i + 1 == len || text[i + 1] == '\n';
		if (text[i] != '\n' && column + width > (size_t)(last ? LINE : LINE - 1)) {
			to += sprintf(to, "=\n");
			column = 0;
		}
		to += sprintf(to, plain ? "%c" : "=%02X", text[i]);
		column = text[i] == '\n' ? 0 : column + width;
	}
	*to = '\0';
	return out;
}

size_t quoted_decode(const char *text, char *to)
{
	char *start = to;
	for (; *text; text++) {
		if (*text != '=') {
			*to++ = *text;
		} else if (text[1] == '\n') {
			text++;
		} else if (isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2])) {
			char hex[3] = {text[1], text[2], '\0'};
			*to++ = (char)strtoul(hex, NULL, 16);
			text += 2;
		} else {
			*to++ = '=';
		}
	}
	return (size_t)(to - start);
}
