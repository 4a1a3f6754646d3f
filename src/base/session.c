/* The failure record, blockers and the log of one run. */
#include "base/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/share.h"

uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void make_run_id(char out[static 37])
{
	unsigned char r[16];
	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		memset(r, 0x5a, sizeof(r));
	r[6] = (r[6] & 0x0f) | 0x40;
	r[8] = (r[8] & 0x3f) | 0x80;
	char *p = out;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", r[i]);
	}
}

void session_init(struct session *s)
{
	memset(s, 0, sizeof(*s));
	s->log.fd = STDERR_FILENO;
	s->log.level = LOG_WARN;
	clock_gettime(CLOCK_MONOTONIC, &s->log.start);
	make_run_id(s->run_id);
}

void session_release(struct session *s)
{
	share_end(s);
	arena_release(&s->arena);
}

bool log_wants(const struct session *s, enum log_level level)
{
	return (int)level <= s->log.level && !(level == LOG_MESSAGE && s->log.no_messages);
}

/* "(SS.UUUUUU) ", always 12 characters: spec/cli.md 5.2. */
static int format_stamp(const struct session *s, char *out, size_t room)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	long us = (t.tv_nsec - s->log.start.tv_nsec) / 1000;
	long sec = (long)(t.tv_sec - s->log.start.tv_sec);
	if (us < 0) {
		us += 1000000;
		sec--;
	}
	char digits[40];
	snprintf(digits, sizeof(digits), "%02ld.%06ld", sec, us);
	return snprintf(out, room, "(%.9s) ", digits);
}

/* As the compiler was given it, but from the root of the sources on. */
static int format_place(struct place_in_source where, const char *kind, char *out, size_t room)
{
	const char *file = where.file;
	while (!strncmp(file, "../", 3))
		file += 3;
	return snprintf(out, room, "%s(%s:%d): ", kind, file, where.line);
}

int log_error_prefix(const struct session *s, struct place_in_source where, char *out, size_t room)
{
	return s->log.places ? format_place(where, "Error ", out, room)
			     : snprintf(out, room, "Error: ");
}

static int format_prefix(const struct session *s, struct place_in_source where,
	enum log_level level, char *out, size_t room)
{
	if (level == LOG_ERROR && s->log.colour)
		return snprintf(out, room, ERROR_IN_COLOUR " ");
	if (level == LOG_ERROR)
		return log_error_prefix(s, where, out, room);
	if (level == LOG_WARN && s->log.places)
		return format_place(where, "Warn  ", out, room);
	if (level == LOG_WARN)
		return snprintf(out, room, s->log.colour ? "\033[1;33mWarn\033[0m  " : "Warn  ");
	return level >= LOG_INFO ? format_stamp(s, out, room) : 0;
}

static void log_vline(struct session *s, struct place_in_source where, enum log_level level,
	const char *fmt, va_list ap)
{
	char line[4096];
	size_t room = sizeof(line) - 1;
	size_t used = (size_t)format_prefix(s, where, level, line, room);
	int len = vsnprintf(line + used, room - used, fmt, ap);
	if (len < 0)
		return;
	used = (size_t)len < room - used ? used + (size_t)len : room - 1;
	if (!used || line[used - 1] != '\n')
		line[used++] = '\n';
	progress_hide(s);
	int fd = level == LOG_MESSAGE ? STDOUT_FILENO : s->log.fd;
	if (write(fd, line, used) < 0)
		return; /* nowhere left to complain */
}

void log_line_at(
	struct session *s, struct place_in_source where, enum log_level level, const char *fmt, ...)
{
	if (!log_wants(s, level))
		return;
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	log_vline(s, where, level, fmt, ap);
	va_end(ap);
	errno = saved;
}

/* Of a write that failed with EFBIG: it may have been our own limit. */
static const char *limit_of_file_size(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
		       ? "raise the limit of file sizes, RLIMIT_FSIZE: ulimit -f unlimited"
		       : NULL;
}

int fail_from(struct session *s, struct place_in_source where, int err, const char *remedy,
	const char *fmt, ...)
{
	va_list ap;
	err = err < 0 ? -err : err;
	if (!err)
		err = EIO;
	va_start(ap, fmt);
	char *message = arena_vprintf(&s->arena, fmt, ap);
	va_end(ap);
	if (s->failure.err) {
		log_debug(s, "after the failure: %s: %s", message, strerror(err));
		return -err;
	}
	if (err == EFBIG && !remedy)
		remedy = limit_of_file_size();
	s->failure = (struct failure){err, message, remedy, where};
	return -err;
}

int fail_context(struct session *s, int err, const char *fmt, ...)
{
	if (!s->failure.message)
		return err;
	va_list ap;
	va_start(ap, fmt);
	char *context = arena_vprintf(&s->arena, fmt, ap);
	va_end(ap);
	s->failure.message = arena_printf(&s->arena, "%s: %s", context, s->failure.message);
	return err;
}

int postpone(struct session *s, int r)
{
	if (r >= 0 || r == -EBADMSG)
		return r;
	if (!s->postponed.err)
		s->postponed = s->failure;
	if (!s->postponed.err)
		s->postponed = (struct failure){.err = -r, .message = "read the images"};
	s->failure = (struct failure){0};
	return 0;
}

int recall(struct session *s)
{
	if (s->postponed.err)
		s->failure = s->postponed;
	return -s->postponed.err;
}

void block_from(struct session *s, struct place_in_source where, pid_t pid, const char *remedy,
	const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *message = arena_vprintf(&s->arena, fmt, ap);
	va_end(ap);
	*vec_push(&s->arena, &s->blockers) = (struct blocker){pid, message, remedy, where};
}
