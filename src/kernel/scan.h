/*
 * Reading numbers, words and lines out of kernel text, without stdio and without copying.
 *
 * A scan is a cursor over [p, end); the text needs no terminating NUL.  Every function returns
 * whether it found what its name says; on false the cursor may have moved over a prefix.
 */
#ifndef FERMATA_KERNEL_SCAN_H
#define FERMATA_KERNEL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct scan {
	const char *p, *end;
};

#define SCAN(text, len) ((struct scan){.p = (text), .end = (text) + (len)})

static inline bool scan_done(const struct scan *c)
{
	return c->p >= c->end;
}

/* The next character, or NUL at the end. */
static inline char scan_peek(const struct scan *c)
{
	return c->p < c->end ? *c->p : '\0';
}

static inline bool scan_char(struct scan *c, char want)
{
	if (c->p >= c->end || *c->p != want)
		return false;
	c->p++;
	return true;
}

static inline void scan_blanks(struct scan *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
}

static inline bool scan_skip_to(struct scan *c, char stop)
{
	if (c->p >= c->end)
		return false;
	const char *at = memchr(c->p, stop, (size_t)(c->end - c->p));
	if (!at)
		return false;
	c->p = at + 1;
	return true;
}

static inline bool scan_text(struct scan *c, const char *want, size_t len)
{
	if ((size_t)(c->end - c->p) < len || memcmp(c->p, want, len))
		return false;
	c->p += len;
	return true;
}

#define scan_literal(c, want) scan_text((c), "" want, sizeof(want) - 1)

/* Cuts the next line off, without its newline; a last line may lack one. */
static inline bool scan_line(struct scan *c, struct scan *line)
{
	if (c->p >= c->end)
		return false;
	const char *nl = memchr(c->p, '\n', (size_t)(c->end - c->p));
	*line = (struct scan){.p = c->p, .end = nl ? nl : c->end};
	c->p = nl ? nl + 1 : c->end;
	return true;
}

/*
 * Cuts off what stands before the next stop (which is consumed) or the end; may be empty.
 * False at the end of the text.
 */
static inline bool scan_field(struct scan *c, char stop, struct scan *field)
{
	*field = *c;
	if (c->p >= c->end)
		return false;
	const char *at = memchr(c->p, stop, (size_t)(c->end - c->p));
	*field = (struct scan){.p = c->p, .end = at ? at : c->end};
	c->p = at ? at + 1 : c->end;
	return true;
}

static inline bool scan_u64(struct scan *c, uint64_t *ret)
{
	uint64_t value = 0;
	const char *first = c->p;
	for (; c->p < c->end; c->p++) {
		unsigned digit = (unsigned char)*c->p - (unsigned)'0';
		if (digit > 9)
			break;
		if (value > UINT64_MAX / 10 - 1) { /* near the edge: exact check */
			if (__builtin_mul_overflow(value, 10, &value) ||
				__builtin_add_overflow(value, digit, &value))
				return false;
			continue;
		}
		value = value * 10 + digit;
	}
	*ret = value;
	return c->p > first;
}

static inline bool scan_i64(struct scan *c, int64_t *ret)
{
	bool negative = scan_char(c, '-');
	uint64_t value;
	if (!scan_u64(c, &value) || value > (uint64_t)INT64_MAX + negative)
		return false;
	*ret = (int64_t)(negative ? 0 - value : value);
	return true;
}

static inline bool scan_int(struct scan *c, int *ret)
{
	int64_t value;
	if (!scan_i64(c, &value) || value < INT32_MIN || value > INT32_MAX)
		return false;
	*ret = (int)value;
	return true;
}

static inline bool scan_u32(struct scan *c, uint32_t *ret)
{
	uint64_t value;
	if (!scan_u64(c, &value) || value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

static inline int scan_hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch |= 0x20;
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static inline bool scan_hex(struct scan *c, uint64_t *ret)
{
	uint64_t value = 0;
	const char *first = c->p;
	for (int digit; c->p < c->end && (digit = scan_hex_digit(*c->p)) >= 0; c->p++) {
		if (value >> 60)
			return false;
		value = value << 4 | (uint64_t)digit;
	}
	*ret = value;
	return c->p > first;
}

static inline bool scan_octal(struct scan *c, uint64_t *ret)
{
	uint64_t value = 0;
	const char *first = c->p;
	for (; c->p < c->end && *c->p >= '0' && *c->p <= '7'; c->p++) {
		if (value >> 61)
			return false;
		value = value << 3 | (uint64_t)(*c->p - '0');
	}
	*ret = value;
	return c->p > first;
}

#endif
