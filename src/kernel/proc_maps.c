/*
 * /proc/PID/smaps and maps in one pass (proc(5); fs/proc/task_mmu.c show_map_vma(), show_smap()).
 *
 * A header line starts with a lower-case hex digit, a detail line with a capital letter.  The
 * name column escapes only newline, as \012 (seq_path(m, path, "\n")); a name that truly holds
 * those four characters cannot be told apart, so whoever opens the file uses map_files/ instead.
 * Detail lines differ between kernels (Pss_Dirty 6.0, KSM 6.6, ...) and are found by name.
 */
#include "kernel/proc_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/session.h"
#include "kernel/maps_stream.h"
#include "kernel/procfs.h"
#include "kernel/scan.h"
#include "kernel/vma_flags.h"

static bool scan_permissions(struct scan *c, struct vma_info *vma)
{
	if (c->end - c->p < 5)
		return false;
	const char *p = c->p;
	vma->prot = (p[0] == 'r' ? PROT_READ : 0U) | (p[1] == 'w' ? PROT_WRITE : 0U) |
		(p[2] == 'x' ? PROT_EXEC : 0U);
	vma->shared = p[3] == 's';
	c->p += 4;
	return vma->shared || p[3] == 'p';
}

/* Everything up to the name: "start-end perms pgoff major:minor inode ". */
static bool scan_header(struct scan *c, struct vma_info *vma)
{
	uint64_t major_nr, minor_nr;
	if (!scan_hex(c, &vma->start) || !scan_char(c, '-') || !scan_hex(c, &vma->end) ||
		!scan_char(c, ' ') || !scan_permissions(c, vma) || !scan_char(c, ' ') ||
		!scan_hex(c, &vma->pgoff) || !scan_char(c, ' ') || !scan_hex(c, &major_nr) ||
		!scan_char(c, ':') || !scan_hex(c, &minor_nr) || !scan_char(c, ' ') ||
		!scan_u64(c, &vma->ino))
		return false;
	vma->dev = makedev((unsigned)major_nr, (unsigned)minor_nr);
	return vma->start < vma->end;
}

static const char *unescape_newlines(struct arena *a, const char *text, size_t len)
{
	char *name = arena_alloc(a, len + 1);
	size_t n = 0;
	for (size_t i = 0; i < len; n++) {
		bool newline = len - i >= 4 && !memcmp(text + i, "\\012", 4);
		name[n] = newline ? '\n' : text[i];
		i += newline ? 4 : 1;
	}
	return name;
}

/* raw is the previous name as it stood in the text: most names come several times in a row. */
static const char *take_name(struct arena *a, struct scan c, struct scan *raw, const char *previous)
{
	scan_blanks(&c);
	size_t len = (size_t)(c.end - c.p);
	if (!len)
		return "";
	if (previous && raw->p && (size_t)(raw->end - raw->p) == len && !memcmp(raw->p, c.p, len))
		return previous;
	*raw = c;
	return unescape_newlines(a, c.p, len);
}

static bool scan_kb(struct scan *line, uint64_t *ret)
{
	scan_blanks(line);
	if (!scan_u64(line, ret) || *ret > UINT64_MAX >> 10)
		return false;
	*ret <<= 10;
	return true;
}

/* One "Name:  value" line. Those we do not keep cost one switch. */
static bool scan_detail(struct scan *line, struct vma_info *vma)
{
	switch (*line->p) {
	case 'A':
		return !scan_literal(line, "Anonymous:") || scan_kb(line, &vma->anonymous);
	case 'K':
		return !scan_literal(line, "KernelPageSize:") ||
			scan_kb(line, &vma->kernel_page_size);
	case 'L':
		return !scan_literal(line, "Locked:") || scan_kb(line, &vma->locked);
	case 'R':
		return !scan_literal(line, "Rss:") || scan_kb(line, &vma->rss);
	case 'S':
		return !scan_literal(line, "Swap:") || scan_kb(line, &vma->swap);
	case 'P':
		if (scan_literal(line, "Private_Dirty:"))
			return scan_kb(line, &vma->private_dirty);
		if (!scan_literal(line, "ProtectionKey:"))
			return true;
		scan_blanks(line);
		return scan_int(line, &vma->protection_key);
	case 'V':
		if (scan_literal(line, "VmFlags:"))
			vma->vmflags = vma_flags_parse(line);
		return true;
	}
	return true;
}

/* Details before the first header belong to vma. */
static int parse_lines(struct arena *a, struct scan c, struct vma_info *vma, vma_info_vec *out)
{
	struct scan line, raw = {0};
	const char *named = NULL; /* what raw stands for */
	while (scan_line(&c, &line)) {
		bool detail = scan_peek(&line) >= 'A' && scan_peek(&line) <= 'Z';
		if (detail) {
			if (!vma || !scan_detail(&line, vma))
				return -EINVAL;
			vma->has_smaps = true;
			continue;
		}
		struct vma_info next = {0};
		if (!scan_header(&line, &next))
			return -EINVAL;
		next.name = take_name(a, line, &raw, named);
		if (*next.name)
			named = next.name;
		vma = vec_push(a, out);
		*vma = next;
	}
	return 0;
}

int proc_maps_parse(struct arena *a, const char *text, size_t len, vma_info_vec *out)
{
	return parse_lines(a, SCAN(text, len), NULL, out);
}

int maps_stream_parse(struct maps_stream *st, size_t until)
{
	for (;;) {
		if (st->had >= until)
			return 0;
		ssize_t n = read(st->fd, st->text + st->have, MAPS_CHUNK - st->have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		st->have += (size_t)n;
		if (!st->have)
			return 0;
		const char *newline =
			n ? memrchr(st->text, '\n', st->have) : st->text + st->have - 1;
		if (!newline && st->have == MAPS_CHUNK)
			return -EINVAL;
		if (!newline || (st->have < MAPS_CHUNK / 2 && n))
			continue;
		size_t whole = (size_t)(newline + 1 - st->text);
		struct vma_info *last =
			st->out->n > st->n_before ? &st->out->v[st->out->n - 1] : NULL;
		int err = parse_lines(&st->s->arena, SCAN(st->text, whole), last, st->out);
		if (err || !n)
			return err;
		st->have -= whole;
		st->had += whole;
		memmove(st->text, st->text + whole, st->have);
	}
}

int maps_read_failed(struct session *s, pid_t pid, const char *name, int err)
{
	if (err == -EINVAL)
		return proc_malformed(s, err, pid, name);
	return !err || proc_gone(err) ? err : fail(s, err, "pid %d: cannot read its %s", pid, name);
}

static int read_name(struct session *s, pid_t pid, const char *name, vma_info_vec *out)
{
	_cleanup_close_ int fd = proc_open_pid(s, pid, name, O_RDONLY);
	if (fd < 0)
		return fd;
	char text[MAPS_CHUNK];
	struct maps_stream st = {.s = s, .fd = fd, .out = out, .n_before = out->n, .text = text};
	return maps_read_failed(s, pid, name, maps_stream_parse(&st, SIZE_MAX));
}

int proc_smaps_read(struct session *s, pid_t pid, vma_info_vec *out)
{
	return read_name(s, pid, "smaps", out);
}

int proc_maps_read(struct session *s, pid_t pid, vma_info_vec *out)
{
	return read_name(s, pid, "maps", out);
}
