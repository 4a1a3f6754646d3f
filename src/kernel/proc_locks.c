/* Parsing a line that shows a lock. */
#include "kernel/proc_locks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

struct word {
	const char *text;
	int value;
};

static const struct word kinds[] = {{"POSIX", LOCK_POSIX}, {"FLOCK", LOCK_FLOCK},
	{"OFDLCK", LOCK_OFD}, {"LEASE", LOCK_LEASE}, {0}};
static const struct word modes[] = {{"READ", F_RDLCK}, {"WRITE", F_WRLCK}, {"UNLCK", F_UNLCK}, {0}};

static bool next_word(struct scan *c, struct scan *word)
{
	scan_blanks(c);
	return scan_field(c, ' ', word) && word->end > word->p;
}

static bool is_word(const struct scan *word, const char *text)
{
	size_t len = strlen(text);
	return (size_t)(word->end - word->p) == len && memcmp(word->p, text, len) == 0;
}

static int look_up(const struct word *table, const struct scan *word, int other)
{
	for (; table->text; table++)
		if (is_word(word, table->text))
			return table->value;
	return other;
}

/* "08:01:1234" or "<none>:0" */
static bool scan_inode(struct scan *field, uint64_t *ret)
{
	uint64_t major, minor;
	*ret = 0;
	return scan_literal(field, "<none>") ||
	       (scan_hex(field, &major) && scan_char(field, ':') && scan_hex(field, &minor) &&
		       scan_char(field, ':') && scan_u64(field, ret));
}

bool lock_parse(struct scan *line, struct lock_info *ret)
{
	struct scan word;
	uint64_t number;
	*ret = (struct lock_info){.end = -1};
	if (!scan_u64(line, &number) || !scan_char(line, ':'))
		return false;
	scan_blanks(line);
	ret->waiting = scan_literal(line, "->");
	if (!next_word(line, &word))
		return false;
	ret->kind = (enum lock_kind)look_up(kinds, &word, LOCK_OTHER);
	if (!next_word(line, &word)) /* ADVISORY, ACTIVE, BREAKING, BREAKER */
		return false;
	ret->breaking = is_word(&word, "BREAKING");
	if (!next_word(line, &word))
		return false;
	ret->type = look_up(modes, &word, -1);
	scan_blanks(line);
	if (!scan_int(line, &ret->pid) || !next_word(line, &word) || !scan_inode(&word, &ret->ino))
		return false;
	scan_blanks(line);
	if (!scan_i64(line, &ret->start))
		return false;
	scan_blanks(line);
	return scan_literal(line, "EOF") || scan_i64(line, &ret->end);
}

const char *lock_text(const struct lock_info *l, char *buf)
{
	static const char *const names[] = {[LOCK_POSIX] = "a POSIX",
		[LOCK_FLOCK] = "a flock",
		[LOCK_OFD] = "an OFD",
		[LOCK_LEASE] = "lease",
		[LOCK_OTHER] = "delegation"};
	const char *mode = l->type == F_WRLCK ? "write" : "read";
	if (l->kind == LOCK_LEASE || l->kind == LOCK_OTHER)
		snprintf(buf, LOCK_TEXT, "a %s %s", mode, names[l->kind]);
	else if (!l->start && l->end < 0)
		snprintf(buf, LOCK_TEXT, "%s %s lock", names[l->kind], mode);
	else if (l->end < 0)
		snprintf(buf, LOCK_TEXT, "%s %s lock from byte %" PRIi64 " on", names[l->kind],
			mode, l->start);
	else
		snprintf(buf, LOCK_TEXT, "%s %s lock on bytes %" PRIi64 " to %" PRIi64,
			names[l->kind], mode, l->start, l->end);
	return buf;
}
