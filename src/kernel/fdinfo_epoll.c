/*
 * One line of fdinfo for each target of an epoll set; pos and what follows came with Linux 4.13:
 *
 *	tfd:       16 events: 80000019 data: 1122334455667788  pos:0 ino:410 sdev:e
 */
#include "kernel/fdinfo_epoll.h"

static bool scan_named_hex(struct scan *c, const char *name, size_t len, uint64_t *ret)
{
	scan_blanks(c);
	return scan_text(c, name, len) && (scan_blanks(c), scan_hex(c, ret));
}

static bool scan_inode(struct scan *c, struct fdinfo_epoll_target *t)
{
	uint64_t dev;
	scan_blanks(c);
	if (!scan_literal(c, "pos:") || !scan_i64(c, &t->pos) ||
		!scan_named_hex(c, "ino:", 4, &t->ino) || !scan_named_hex(c, "sdev:", 5, &dev) ||
		dev > UINT32_MAX)
		return false;
	t->dev = (uint32_t)dev;
	t->has_inode = true;
	return true;
}

bool fdinfo_epoll_next(struct scan *c, struct fdinfo_epoll_target *ret, bool *ret_malformed)
{
	struct scan line;
	uint64_t events;
	*ret = (struct fdinfo_epoll_target){0};
	*ret_malformed = false;
	if (!fdinfo_next(c, "tfd", &line))
		return false;
	bool good = scan_u32(&line, &ret->number) && scan_named_hex(&line, "events:", 7, &events) &&
		    events <= UINT32_MAX && scan_named_hex(&line, "data:", 5, &ret->data);
	if (good) {
		ret->events = (uint32_t)events;
		scan_blanks(&line);
		good = scan_done(&line) || scan_inode(&line, ret);
	}
	*ret_malformed = !good;
	return good;
}
