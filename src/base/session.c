/* The failure record, blockers and the log of one run. */
#include "base/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
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

static void log_vline(struct session *s, enum log_level level, const char *fmt, va_list ap)
{
	char line[4096];
	size_t room = sizeof(line) - 1, used = 0;
	if (level == LOG_ERROR)
		used = (size_t)snprintf(line, room, s->log.colour ? ERROR_IN_COLOUR " " : "Error: ");
	else if (level == LOG_WARN)
		used = (size_t)snprintf(line, room, s->log.colour ? "\033[1;33mWarn\033[0m  " : "Warn  ");
	else if (level >= LOG_INFO)
		used = (size_t)format_stamp(s, line, room);
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

void log_line(struct session *s, enum log_level level, const char *fmt, ...)
{
	if (!log_wants(s, level))
		return;
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	log_vline(s, level, fmt, ap);
	va_end(ap);
	errno = saved;
}

static int record(struct session *s, int err, const char *remedy, const char *fmt, va_list ap)
{
	err = err < 0 ? -err : err;
	if (!err)
		err = EIO;
	char *message = arena_vprintf(&s->arena, fmt, ap);
	if (s->failure.err) {
		log_debug(s, "after the failure: %s: %s", message, strerror(err));
		return -err;
	}
	s->failure = (struct failure){.err = err, .message = message, .remedy = remedy};
	return -err;
}

int fail(struct session *s, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err = record(s, err, NULL, fmt, ap);
	va_end(ap);
	return err;
}

int fail_remedy(struct session *s, int err, const char *remedy, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err = record(s, err, remedy, fmt, ap);
	va_end(ap);
	return err;
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

void block(struct session *s, pid_t pid, const char *remedy, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *message = arena_vprintf(&s->arena, fmt, ap);
	va_end(ap);
	*vec_push(&s->arena, &s->blockers) =
		(struct blocker){.pid = pid, .message = message, .remedy = remedy};
}
