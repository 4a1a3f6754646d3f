/*
 * Reads of /proc files: open, read until end of file, close.
 *
 * seq_file (fs/seq_file.c) hands out whole records up to its own buffer, one page to begin with,
 * so a short read does not mean the end: only a read of 0 does.  A file of one record is different:
 * the buffer grows until the record fits.
 */
#include "kernel/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/session.h"

enum {
	FIRST_ROOM = 8192,
	LINK_ROOM = 256,
	LINK_ROOM_MAX = 1 << 20,
};

void proc_buf_release(struct proc_buf *b)
{
	free(b->data);
	*b = (struct proc_buf){0};
}

static int buf_make_room(struct proc_buf *b)
{
	if (b->len + 1 < b->cap)
		return 0;
	size_t cap = b->cap ? b->cap * 2 : FIRST_ROOM;
	char *grown = realloc(b->data, cap);
	if (!grown)
		return -ENOMEM;
	b->data = grown;
	b->cap = cap;
	return 0;
}

static int read_to_end(int fd, struct proc_buf *b, bool one_record)
{
	b->len = 0;
	for (;;) {
		int err = buf_make_room(b);
		if (err)
			return err;
		ssize_t n = read(fd, b->data + b->len, b->cap - b->len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
		if (!n || (one_record && b->len + 1 < b->cap))
			return 0;
	}
}

bool proc_gone(int err)
{
	return err == -ENOENT || err == -ESRCH;
}

static int report(struct session *s, int err, const char *what, const char *path)
{
	return proc_gone(err) ? err : fail(s, err, "cannot %s %s", what, path);
}

static int read_file(
	struct session *s, int dirfd, const char *path, bool one_record, struct proc_buf *b)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return report(s, -errno, "open", path);
	int err = read_to_end(fd, b, one_record);
	return err ? report(s, err, "read", path) : 0;
}

int proc_read_at(struct session *s, int dirfd, const char *path, struct proc_buf *b)
{
	return read_file(s, dirfd, path, /* one_record= */ false, b);
}

int proc_read(struct session *s, const char *path, struct proc_buf *b)
{
	return proc_read_at(s, AT_FDCWD, path, b);
}

static void pid_path(char path[static PROC_PATH_MAX], pid_t pid, const char *name)
{
	snprintf(path, PROC_PATH_MAX, "/proc/%d/%s", pid, name);
}

int proc_read_pid(struct session *s, pid_t pid, const char *name, struct proc_buf *b)
{
	char path[PROC_PATH_MAX];
	pid_path(path, pid, name);
	return proc_read_at(s, AT_FDCWD, path, b);
}

int proc_read_record(struct session *s, pid_t pid, const char *name, struct proc_buf *b)
{
	char path[PROC_PATH_MAX];
	pid_path(path, pid, name);
	return read_file(s, AT_FDCWD, path, /* one_record= */ true, b);
}

int proc_open_pid(struct session *s, pid_t pid, const char *name, int flags)
{
	char path[PROC_PATH_MAX];
	pid_path(path, pid, name);
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? report(s, -errno, "open", path) : fd;
}

int proc_readlink_at(struct session *s, int dirfd, const char *path, char **ret)
{
	char small[LINK_ROOM];
	ssize_t n = readlinkat(dirfd, path, small, sizeof(small));
	if (n < 0)
		return report(s, -errno, "read the link", path);
	if ((size_t)n < sizeof(small)) {
		*ret = arena_alloc(&s->arena, (size_t)n + 1);
		memcpy(*ret, small, (size_t)n);
		return 0;
	}
	for (size_t room = PATH_MAX + 1; room <= LINK_ROOM_MAX; room *= 2) {
		char *text = arena_alloc(&s->arena, room);
		n = readlinkat(dirfd, path, text, room);
		if (n < 0)
			return report(s, -errno, "read the link", path);
		if ((size_t)n < room) {
			text[n] = '\0';
			*ret = text;
			return 0;
		}
	}
	return report(s, -ENAMETOOLONG, "read the link", path);
}

int proc_readlink_pid(struct session *s, pid_t pid, const char *name, char **ret)
{
	char path[PROC_PATH_MAX];
	pid_path(path, pid, name);
	return proc_readlink_at(s, AT_FDCWD, path, ret);
}

int proc_malformed(struct session *s, int err, pid_t pid, const char *name)
{
	return fail(s, err, "pid %d: cannot understand /proc/%d/%s", pid, pid, name);
}
