/*
 * See progress.h.
 *
 * Tasks are stopped while this draws, so it must never wait: the terminal is opened anew, without
 * blocking (a user may have stopped its output by ^S), and left alone by a tool in the background
 * (which might get SIGTTOU).
 */
#include "base/progress.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"

enum {
	PATIENCE_US = 500000, /* shorter runs show nothing */
	INTERVAL_US = 100000,
	LINE_MAX_LEN = 128,
};

struct progress {
	int fd;
	bool colour;
	const char *what;
	uint64_t start_us, copying_us; /* of the run; of the first byte */
	atomic_uint_fast64_t total, done;
	atomic_uint_fast64_t next_us; /* when the line is drawn again */
	pthread_mutex_t lock;
	bool shown;
};

static bool can_erase(int fd)
{
	const char *term = getenv("TERM");
	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

bool terminal_has_colour(int fd)
{
	const char *no = getenv("NO_COLOR");
	return can_erase(fd) && (!no || !*no);
}

void progress_open(struct session *s, const char *what)
{
	if (!can_erase(STDERR_FILENO))
		return;
	int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	struct progress *p = arena_new(&s->arena, struct progress);
	*p = (struct progress){.fd = fd,
		.what = what,
		.colour = terminal_has_colour(STDERR_FILENO),
		.start_us = now_us(),
		.lock = PTHREAD_MUTEX_INITIALIZER};
	p->next_us = p->start_us + PATIENCE_US;
	s->progress = p;
}

/* "1.5 GiB" */
static const char *size_text(uint64_t bytes, char text[static 16])
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes / 1024;
	int unit = 0;
	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	snprintf(text, 16, value < 10 ? "%.1f %ciB" : "%.0f %ciB", value, units[unit]);
	return text;
}

/* No longer than the terminal is wide, or it could not be erased. */
static int limit_width(int fd, int len)
{
	struct winsize size;
	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		return len;
	return len < size.ws_col ? len : size.ws_col - 1;
}

static void write_line(struct progress *p, const char *line, int len)
{
	const char *on = p->colour ? "\033[1m" : "", *off = p->colour ? "\033[0m" : "";
	int bold = (int)strlen(p->what);
	bold = bold < len ? bold : len;
	char out[LINE_MAX_LEN + 32];
	int n = snprintf(out, sizeof(out), "\r%s%.*s%s%.*s\033[K", on, bold, line, off, len - bold,
		line + bold);
	if (write(p->fd, out, (size_t)n) == n)
		p->shown = true;
}

static void draw(struct progress *p, uint64_t now)
{
	if (tcgetpgrp(p->fd) != getpgrp())
		return;
	uint64_t done = p->done, total = p->total > done ? p->total : done;
	uint64_t spent_us = now - p->copying_us + !(now - p->copying_us);
	char line[LINE_MAX_LEN], sizes[3][16];
	int len = snprintf(line, sizeof(line), "%s: %s of %s (%" PRIu64 "%%), %s/s", p->what,
		size_text(done, sizes[0]), size_text(total, sizes[1]),
		total ? done * 100 / total : 0,
		size_text((uint64_t)((double)done * 1e6 / (double)spent_us), sizes[2]));
	write_line(p, line, limit_width(p->fd, len));
}

/* One of the threads that find it is time draws; the others go on. */
static void draw_if_due(struct progress *p)
{
	uint64_t now = now_us(), due = p->next_us;
	if (now < due || !atomic_compare_exchange_strong(&p->next_us, &due, now + INTERVAL_US) ||
		pthread_mutex_trylock(&p->lock))
		return;
	draw(p, now);
	pthread_mutex_unlock(&p->lock);
}

void progress_expect(struct session *s, uint64_t bytes)
{
	struct progress *p = s->progress;
	if (!p)
		return;
	if (!p->copying_us)
		p->copying_us = now_us();
	p->total += bytes;
}

void progress_add(struct session *s, uint64_t bytes)
{
	struct progress *p = s->progress;
	if (!p)
		return;
	p->done += bytes;
	draw_if_due(p);
}

uint64_t progress_mark(const struct session *s)
{
	return s->progress ? s->progress->done : 0;
}

void progress_reach(struct session *s, uint64_t bytes)
{
	if (s->progress && s->progress->done < bytes)
		progress_add(s, bytes - s->progress->done);
}

void progress_hide(struct session *s)
{
	static const char erase[] = "\r\033[K";
	struct progress *p = s->progress;
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	if (p->shown && write(p->fd, erase, sizeof(erase) - 1) > 0)
		p->shown = false;
	pthread_mutex_unlock(&p->lock);
}

void progress_close(struct session *s)
{
	if (!s->progress)
		return;
	progress_hide(s);
	close(take_fd(&s->progress->fd));
	s->progress = NULL;
}
