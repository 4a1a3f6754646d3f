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
#include "kernel/procfs.h"
#include "kernel/read_ahead.h"
#include "kernel/scan.h"
#include "kernel/vma_flags.h"

enum {
	CHUNK = 16 * 1024, /* seq_file gives a page at a time */
	LONG = 256 * 1024, /* as much as is read while a thread starts; some 350 VMAs */
};

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

/*
 * Thousands of VMAs make megabytes of smaps: whole lines are parsed as they come, out of a buffer
 * that stays in the cache. A line is shorter than a page: d_path() makes its name in one.
 */
struct stream {
	struct session *s;
	int fd;
	vma_info_vec *out;
	size_t n_before; /* VMAs of others in it */
	size_t have, had; /* bytes in text, and parsed before */
	char *text;       /* CHUNK bytes */
};

/* Until the end, or until so many bytes were parsed. */
static int parse_stream(struct stream *st, size_t until)
{
	for (;;) {
		if (st->had >= until)
			return 0;
		ssize_t n = read(st->fd, st->text + st->have, CHUNK - st->have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		st->have += (size_t)n;
		if (!st->have)
			return 0;
		const char *newline =
			n ? memrchr(st->text, '\n', st->have) : st->text + st->have - 1;
		if (!newline && st->have == CHUNK)
			return -EINVAL;
		if (!newline || (st->have < CHUNK / 2 && n))
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

/* The rest comes from another thread, which reads while we do something else. */
static int parse_ahead(struct stream *st, proc_maps_meanwhile *meanwhile, void *arg)
{
	struct read_ahead ahead;
	if (!read_ahead_begin(&ahead, st->fd))
		return parse_stream(st, SIZE_MAX);
	st->fd = ahead.from;
	int err = meanwhile(arg);
	if (!err)
		err = parse_stream(st, SIZE_MAX);
	int read_err = read_ahead_end(&ahead);
	return err ? err : read_err;
}

/* ahead: bytes that this thread reads before another one reads for it. */
static int read_name(struct session *s, pid_t pid, const char *name, vma_info_vec *out, size_t ahead,
	proc_maps_meanwhile *meanwhile, void *arg)
{
	_cleanup_close_ int fd = proc_open_pid(s, pid, name, O_RDONLY);
	if (fd < 0)
		return fd;
	char text[CHUNK];
	struct stream st = {.s = s, .fd = fd, .out = out, .n_before = out->n, .text = text};
	int err = parse_stream(&st, ahead);
	if (!err && st.had >= ahead)
		err = parse_ahead(&st, meanwhile, arg);
	if (err == -EINVAL)
		return proc_malformed(s, err, pid, name);
	return !err || proc_gone(err) ? err : fail(s, err, "pid %d: cannot read its %s", pid, name);
}

int proc_smaps_read(struct session *s, pid_t pid, vma_info_vec *out)
{
	return read_name(s, pid, "smaps", out, SIZE_MAX, NULL, NULL);
}

int proc_smaps_read_while(struct session *s, pid_t pid, bool takes_long, vma_info_vec *out,
	proc_maps_meanwhile *meanwhile, void *arg)
{
	return read_name(s, pid, "smaps", out, takes_long ? 0 : LONG, meanwhile, arg);
}

int proc_maps_read(struct session *s, pid_t pid, vma_info_vec *out)
{
	return read_name(s, pid, "maps", out, SIZE_MAX, NULL, NULL);
}
