/* How crit shows fields that are not plain numbers; the "crit:" comments of proto/ say the same. */
#ifndef FERMATA_IMAGE_PRESENTATION_H
#define FERMATA_IMAGE_PRESENTATION_H

#include <stddef.h>

enum presentation_kind {
	PRESENT_HEX,	/* 0x...; on a message field: all integers below it */
	PRESENT_DEV,	/* MAJOR:MINOR, split as the kernel does inside (20 bits of minor) */
	PRESENT_ODEV,	/* MAJOR:MINOR, split as libc does */
	PRESENT_FLAGS,	/* names of a flag map joined by | */
	PRESENT_DICT,	/* the name a dictionary gives the value */
	PRESENT_IPADDR, /* an IPv4 or IPv6 address in network order */
	PRESENT_CONV,	/* bytes in a text encoding of their own */
};

struct presentation {
	const char *message, *field;
	enum presentation_kind kind;
	const char *map; /* name of flag map, dictionary or encoding; NULL for the others */
};

/* NULL when the field has no special form. Names are those of proto/. */
const struct presentation *presentation_of(const char *message, const char *field);

/* The whole table, sorted by message and field. */
const struct presentation *presentation_table(size_t *ret_n);

#endif
