/*
 * Lines of names and hexadecimal numbers, one for each mark; fanotify has one of the group before:
 *
 *	inotify wd:1 ino:6400f sdev:fe00000 mask:fff ignored_mask:0 fhandle-bytes:8 \
 *		fhandle-type:1 f_handle:0f4006004eaec957
 *	fanotify flags:0 event-flags:8002
 *	fanotify ino:... (as above, with mflags)
 *	fanotify mnt_id:3e mflags:0 mask:3b ignored_mask:40000000
 *	fanotify sdev:fe00000 mflags:0 mask:3b ignored_mask:0
 */
#include "kernel/fdinfo_fsnotify.h"

#include <stddef.h>

/* Longer names before those that they begin with. */
static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	{"wd:", offsetof(struct fdinfo_mark, wd)},
	{"ino:", offsetof(struct fdinfo_mark, ino)},
	{"sdev:", offsetof(struct fdinfo_mark, sdev)},
	{"mnt_id:", offsetof(struct fdinfo_mark, mnt_id)},
	{"mflags:", offsetof(struct fdinfo_mark, mflags)},
	{"mask:", offsetof(struct fdinfo_mark, mask)},
	{"ignored_mask:", offsetof(struct fdinfo_mark, ignored_mask)},
	{"flags:", offsetof(struct fdinfo_mark, flags)},
	{"event-flags:", offsetof(struct fdinfo_mark, event_flags)},
	{"fhandle-bytes:", offsetof(struct fdinfo_mark, handle_bytes)},
	{"fhandle-type:", offsetof(struct fdinfo_mark, handle_type)},
};

static bool scan_handle(struct scan *c, struct fdinfo_mark *m)
{
	if (m->handle_bytes > FSNOTIFY_HANDLE_MAX)
		return false;
	for (size_t i = 0; i < m->handle_bytes; i++) {
		int high = c->p < c->end ? scan_hex_digit(*c->p++) : -1;
		int low = c->p < c->end ? scan_hex_digit(*c->p++) : -1;
		if (high < 0 || low < 0)
			return false;
		m->handle[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static enum fdinfo_mark_kind kind_by(const char *field, enum fdinfo_mark_kind before)
{
	if (strcmp(field, "ino:") == 0)
		return MARK_INODE;
	if (strcmp(field, "mnt_id:") == 0)
		return MARK_MOUNT;
	if (strcmp(field, "sdev:") == 0 && before == MARK_GROUP)
		return MARK_FILESYSTEM;
	return before;
}

static bool scan_field_of(struct scan *c, struct fdinfo_mark *m)
{
	if (scan_literal(c, "f_handle:"))
		return scan_handle(c, m);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		uint64_t *value = (uint64_t *)((char *)m + fields[i].offset);
		if (!scan_text(c, fields[i].name, strlen(fields[i].name)))
			continue;
		m->kind = kind_by(fields[i].name, m->kind);
		return scan_hex(c, value);
	}
	return false;
}

bool fdinfo_mark_next(
	struct scan *c, const char *what, struct fdinfo_mark *ret, bool *ret_malformed)
{
	struct scan line;
	*ret = (struct fdinfo_mark){0};
	*ret_malformed = false;
	while (scan_line(c, &line)) {
		if (!scan_text(&line, what, strlen(what)) || !scan_char(&line, ' '))
			continue;
		for (scan_blanks(&line); !scan_done(&line); scan_blanks(&line))
			if (!scan_field_of(&line, ret)) {
				*ret_malformed = true;
				return false;
			}
		return true;
	}
	return false;
}
