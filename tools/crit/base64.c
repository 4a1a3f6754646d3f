/* Base64 as MIME writes it (RFC 2045). */
#include <string.h>

#include "crit.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_size(size_t len)
{
	return (len + BASE64_LINE - 1) / BASE64_LINE + (len + 2) / 3 * 4;
}

/* Up to three bytes as four characters. */
static void encode_group(const unsigned char *from, size_t n, char to[static 4])
{
	uint32_t bits = (uint32_t)from[0] << 16 | (n > 1 ? (uint32_t)from[1] << 8 : 0) |
			(n > 2 ? from[2] : 0);
	for (int i = 0; i < 4; i++)
		to[i] = i <= (int)n ? digits[bits >> (18 - 6 * i) & 63] : '=';
}

size_t base64_encode(const void *data, size_t len, char *to)
{
	const unsigned char *from = data;
	char *start = to;
	for (size_t at = 0; at < len; at += 3) {
		encode_group(from + at, len - at < 3 ? len - at : 3, to);
		to += 4;
		if (at + 3 >= len || (at + 3) % BASE64_LINE == 0)
			*to++ = '\n';
	}
	return (size_t)(to - start);
}

ssize_t base64_decode(const char *text, size_t len, void *to)
{
	unsigned char *out = to;
	uint32_t bits = 0;
	unsigned n_bits = 0, padding = 0;
	for (size_t i = 0; i < len; i++) {
		if (strchr(" \t\r\n", text[i]))
			continue;
		const char *at = strchr(digits, text[i]);
		if (text[i] == '=')
			padding++;
		else if (!at || padding)
			return -1;
		if (text[i] == '=')
			continue;
		bits = bits << 6 | (uint32_t)(at - digits);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			*out++ = (unsigned char)(bits >> n_bits);
		}
	}
	/* What is left over must be zero bits that padding accounts for: 4 with two, 2 with one. */
	if (n_bits != 2 * padding || (bits & ((1u << n_bits) - 1)))
		return -1;
	return out - (unsigned char *)to;
}
