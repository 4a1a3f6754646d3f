/*
 * /proc/PID/mountinfo (proc(5); fs/proc_namespace.c show_mountinfo()):
 *
 *	36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue
 *
 * Fields are separated by exactly one blank, so an empty source is an empty field.  Paths, type
 * and source escape " \t\n\\" (type and source '#' too) in octal.
 */
#include "kernel/mountinfo.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/session.h"
#include "kernel/procfs.h"
#include "kernel/scan.h"

static bool is_octal_escape(const char *p, size_t left)
{
	return left >= 4 && p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' &&
		p[2] <= '7' && p[3] >= '0' && p[3] <= '7';
}

char *mountinfo_unescape(struct arena *a, const char *text, size_t len)
{
	char *plain = arena_alloc(a, len + 1);
	size_t n = 0;
	for (size_t i = 0; i < len; n++) {
		const char *p = text + i;
		bool escape = is_octal_escape(p, len - i);
		plain[n] =
			escape ? (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0')) : *p;
		i += escape ? 4 : 1;
	}
	return plain;
}

static bool scan_name(struct arena *a, struct scan *c, const char **ret)
{
	struct scan field;
	if (!scan_field(c, ' ', &field))
		return false;
	*ret = mountinfo_unescape(a, field.p, (size_t)(field.end - field.p));
	return true;
}

static bool scan_raw(struct arena *a, struct scan *c, const char **ret)
{
	struct scan field;
	if (!scan_field(c, ' ', &field))
		return false;
	size_t len = (size_t)(field.end - field.p);
	char *copy = arena_alloc(a, len + 1);
	memcpy(copy, field.p, len);
	*ret = copy;
	return true;
}

/* Tagged fields up to and including the "-". Tags of newer kernels are skipped. */
static bool scan_tags(struct scan *c, struct mountinfo *m)
{
	struct scan tag;
	while (!scan_done(c) && scan_field(c, ' ', &tag)) {
		if (tag.end - tag.p == 1 && *tag.p == '-')
			return true;
		bool good = true;
		if (scan_literal(&tag, "shared:"))
			good = scan_int(&tag, &m->shared);
		else if (scan_literal(&tag, "master:"))
			good = scan_int(&tag, &m->master);
		else if (scan_literal(&tag, "propagate_from:"))
			good = scan_int(&tag, &m->propagate_from);
		else if (scan_literal(&tag, "unbindable"))
			m->unbindable = true;
		if (!good)
			return false;
	}
	return false;
}

static bool scan_mount(struct arena *a, struct scan *c, struct mountinfo *m)
{
	uint32_t major_nr, minor_nr;
	if (!scan_int(c, &m->id) || !scan_char(c, ' ') || !scan_int(c, &m->parent) ||
		!scan_char(c, ' ') || !scan_u32(c, &major_nr) || !scan_char(c, ':') ||
		!scan_u32(c, &minor_nr) || !scan_char(c, ' '))
		return false;
	m->dev = makedev(major_nr, minor_nr);
	return scan_name(a, c, &m->root) && scan_name(a, c, &m->mountpoint) &&
		scan_raw(a, c, &m->options) && scan_tags(c, m) && scan_name(a, c, &m->fstype) &&
		scan_name(a, c, &m->source) && scan_raw(a, c, &m->sb_options) && *m->sb_options;
}

int mountinfo_parse(struct arena *a, const char *text, size_t len, mountinfo_vec *out)
{
	struct scan c = SCAN(text, len), line;
	while (scan_line(&c, &line)) {
		struct mountinfo m = {0};
		if (!scan_mount(a, &line, &m))
			return -EINVAL;
		*vec_push(a, out) = m;
	}
	return 0;
}

int mountinfo_read(struct session *s, pid_t pid, mountinfo_vec *out)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int err = proc_read_pid(s, pid, "mountinfo", &b);
	if (err)
		return err;
	err = mountinfo_parse(&s->arena, b.data, b.len, out);
	return err ? proc_malformed(s, err, pid, "mountinfo") : 0;
}
