/*
 * /proc/PID/fdinfo/FD (proc(5); fs/proc/fd.c seq_show()): pos, flags (octal), mnt_id, ino (since
 * 5.14), then "lock:" lines and what the file's show_fdinfo() adds.  The latter belong to the
 * module of the file type; here they stay text.
 */
#include "kernel/proc_fdinfo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/session.h"

static bool scan_common(struct scan *c, struct proc_fdinfo *ret)
{
	uint64_t flags;
	if (!scan_literal(c, "pos:") || (scan_blanks(c), !scan_i64(c, &ret->pos)) ||
		!scan_char(c, '\n'))
		return false;
	if (!scan_literal(c, "flags:") || (scan_blanks(c), !scan_octal(c, &flags)) ||
		flags > UINT32_MAX || !scan_char(c, '\n'))
		return false;
	ret->flags = (uint32_t)flags;
	return true;
}

int proc_fdinfo_parse(struct arena *a, const char *text, size_t len, struct proc_fdinfo *ret)
{
	struct scan c = SCAN(text, len);
	*ret = (struct proc_fdinfo){.mnt_id = -1, .extra = ""};
	if (!scan_common(&c, ret))
		return -EINVAL;
	if (scan_literal(&c, "mnt_id:") &&
		(scan_blanks(&c), !scan_int(&c, &ret->mnt_id) || !scan_char(&c, '\n')))
		return -EINVAL;
	if (scan_literal(&c, "ino:") &&
		(scan_blanks(&c), !scan_u64(&c, &ret->ino) || !scan_char(&c, '\n')))
		return -EINVAL;
	if (scan_done(&c))
		return 0;
	ret->extra_len = (size_t)(c.end - c.p);
	char *extra = arena_alloc(a, ret->extra_len + 1);
	memcpy(extra, c.p, ret->extra_len);
	ret->extra = extra;
	return 0;
}

int proc_fdinfo_read(
	struct session *s, pid_t pid, int fd, struct proc_buf *b, struct proc_fdinfo *ret)
{
	char name[PROC_PATH_MAX / 2];
	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	int err = proc_read_pid(s, pid, name, b);
	if (err)
		return err;
	err = proc_fdinfo_parse(&s->arena, b->data, b->len, ret);
	return err ? proc_malformed(s, err, pid, name) : 0;
}

struct scan fdinfo_extra(const struct proc_fdinfo *info)
{
	return SCAN(info->extra, info->extra_len);
}

bool fdinfo_next(struct scan *c, const char *name, struct scan *value)
{
	size_t len = strlen(name);
	while (scan_line(c, value)) {
		if (!scan_text(value, name, len) || !scan_char(value, ':'))
			continue;
		scan_blanks(value);
		return true;
	}
	return false;
}

bool fdinfo_number(const struct proc_fdinfo *info, const char *name, int base, uint64_t *ret)
{
	struct scan c = fdinfo_extra(info), value;
	if (!fdinfo_next(&c, name, &value))
		return false;
	if (base == 8)
		return scan_octal(&value, ret);
	if (base == 10)
		return scan_u64(&value, ret);
	scan_literal(&value, "0x");
	return scan_hex(&value, ret);
}
