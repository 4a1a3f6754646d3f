/*
 * fdinfo of an io_uring: counters as "Name:\tnumber", and lists that begin with such a line.
 *
 * SQEs and CQEs list what stands between the heads and tails as user space left them; an entry of
 * a list is indented.  Linux 6.18 leaves empty places of registered files out, others show
 * "<none>".  Paths have blanks and backslashes as octal escapes.
 */
#include "kernel/uring.h"

#include <sched.h>
#include <string.h>

#include "kernel/mountinfo.h"
#include "kernel/proc_fdinfo.h"
#include "kernel/scan.h"

enum { TRIES = 50 };

enum section {
	SECTION_NONE,
	SECTION_SQES,
	SECTION_CQES,
	SECTION_FILES,
	SECTION_BUFFERS,
	SECTION_POLLED,
	SECTION_OVERFLOWN,
	SECTION_PERSONALITIES,
};

static const struct {
	const char *name;
	int offset; /* in struct uring_fdinfo; -1: no number of interest */
	bool required;
	enum section section; /* that begins with it */
} lines[] = {
#define NUMBER(name, field) name, (int)offsetof(struct uring_fdinfo, field)
	{NUMBER("SqMask:", sq_mask), true, SECTION_NONE},
	{NUMBER("SqHead:", sq_head), true, SECTION_NONE},
	{NUMBER("SqTail:", sq_tail), true, SECTION_NONE},
	{NUMBER("CachedSqHead:", submitted), true, SECTION_NONE},
	{NUMBER("CqMask:", cq_mask), true, SECTION_NONE},
	{NUMBER("CqHead:", cq_head), true, SECTION_NONE},
	{NUMBER("CqTail:", cq_tail), true, SECTION_NONE},
	{NUMBER("CachedCqTail:", completed), true, SECTION_NONE},
	{NUMBER("UserFiles:", n_files), true, SECTION_FILES},
	{NUMBER("UserBufs:", n_buffers), true, SECTION_BUFFERS},
#undef NUMBER
	{"SQEs:", -1, true, SECTION_SQES},
	{"CQEs:", -1, true, SECTION_CQES},
	{"PollList:", -1, false, SECTION_POLLED},
	{"CqOverflowList:", -1, false, SECTION_OVERFLOWN},
	{"Personalities:", -1, false, SECTION_PERSONALITIES},
};
enum { N_LINES = sizeof(lines) / sizeof(lines[0]) };

static bool scan_count(struct scan *c, uint32_t *ret)
{
	uint64_t value;
	scan_blanks(c);
	if (!scan_literal(c, "0x"))
		return scan_u32(c, ret);
	if (!scan_hex(c, &value) || value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

static bool has_text(const struct scan *line, const char *text)
{
	return memmem(line->p, (size_t)(line->end - line->p), text, strlen(text)) != NULL;
}

/* "    3: /path" or "    3: 0x7f00/4096" */
static bool add_slot(struct arena *a, struct scan line, enum section in, struct uring_fdinfo *ret)
{
	struct uring_slot slot = {0};
	scan_blanks(&line);
	if (!scan_u32(&line, &slot.index) || !scan_literal(&line, ": "))
		return false;
	struct scan rest = line;
	if (scan_literal(&rest, "<none>"))
		return true;
	if (in == SECTION_FILES) {
		slot.path = mountinfo_unescape(a, line.p, (size_t)(line.end - line.p));
		*vec_push(a, &ret->files) = slot;
		return true;
	}
	if (!scan_literal(&line, "0x") || !scan_hex(&line, &slot.addr) || !scan_char(&line, '/') ||
		!scan_u32(&line, &slot.len))
		return false;
	*vec_push(a, &ret->buffers) = slot;
	return true;
}

static bool add_entry(struct arena *a, struct scan line, enum section in, struct uring_fdinfo *ret)
{
	switch (in) {
	case SECTION_SQES:
		ret->n_sqes++;
		ret->sqe128 |= has_text(&line, ", e0:");
		return true;
	case SECTION_CQES:
		ret->cqe32 |= has_text(&line, "extra1:");
		return true;
	case SECTION_FILES:
	case SECTION_BUFFERS:
		return add_slot(a, line, in, ret);
	case SECTION_POLLED:
		ret->n_polled++;
		return true;
	case SECTION_OVERFLOWN:
		ret->n_overflown++;
		return true;
	case SECTION_PERSONALITIES:
		ret->personalities = true;
		return true;
	case SECTION_NONE:
		break;
	}
	return true;
}

/* A line at the margin. False if garbled. */
static bool add_header(struct scan line, enum section *in, uint32_t *seen, struct uring_fdinfo *ret)
{
	*in = SECTION_NONE;
	for (size_t i = 0; i < N_LINES; i++) {
		struct scan value = line;
		if (!scan_text(&value, lines[i].name, strlen(lines[i].name)))
			continue;
		*seen |= UINT32_C(1) << i;
		*in = lines[i].section;
		return lines[i].offset < 0 ||
		       scan_count(&value, (uint32_t *)((char *)ret + lines[i].offset));
	}
	if (scan_literal(&line, "SqThread:")) {
		scan_blanks(&line);
		return scan_int(&line, &ret->sq_thread);
	}
	if (scan_literal(&line, "NAPI:"))
		ret->napi = has_text(&line, "enabled");
	return true;
}

int uring_fdinfo_parse(struct arena *a, const char *text, size_t len, struct uring_fdinfo *ret)
{
	struct scan c = SCAN(text, len), line;
	enum section in = SECTION_NONE;
	uint32_t seen = 0;
	*ret = (struct uring_fdinfo){.sq_thread = -1};
	while (scan_line(&c, &line)) {
		if (scan_done(&line))
			continue;
		bool margin = scan_peek(&line) != ' ';
		if (margin ? !add_header(line, &in, &seen, ret) : !add_entry(a, line, in, ret))
			return -EINVAL;
	}
	for (size_t i = 0; i < N_LINES; i++)
		if (lines[i].required && !(seen & UINT32_C(1) << i))
			return -EINVAL;
	return 0;
}

/* The kernel only tries to lock the ring, and prints next to nothing if it is in use. */
int uring_fdinfo_read(struct session *s, pid_t pid, int fd, struct uring_fdinfo *ret)
{
	_cleanup_proc_buf_ struct proc_buf buf = {0};
	int r = -EINVAL;
	for (int i = 0; i < TRIES && r == -EINVAL; i++) {
		struct proc_fdinfo text;
		if (i)
			sched_yield();
		r = proc_fdinfo_read(s, pid, fd, &buf, &text);
		if (r >= 0)
			r = uring_fdinfo_parse(&s->arena, text.extra, text.extra_len, ret);
	}
	return r;
}
