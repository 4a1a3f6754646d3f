/*
 * Whole-file reads under /proc.
 *
 * A task may vanish at any time, so "not there" is an answer and no failure: these functions
 * return -ENOENT (no such directory or file) or -ESRCH (gone between open and read) without
 * recording anything, and callers decide.  Every other error is recorded.
 */
#ifndef FERMATA_KERNEL_PROCFS_H
#define FERMATA_KERNEL_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/cleanup.h"

struct session;

/* A growing, reusable heap buffer. {0} is empty; a NUL follows data[len]. */
struct proc_buf {
	char *data;
	size_t len, cap;
};

void proc_buf_release(struct proc_buf *b);
#define _cleanup_proc_buf_ _cleanup_(proc_buf_release)

typedef VEC(pid_t) pid_vec;

/* Longest path below made from numbers and a fixed name. */
enum { PROC_PATH_MAX = 96 };

/* Replaces the content of b by that of the file. path is relative to dirfd (or absolute). */
int proc_read_at(struct session *s, int dirfd, const char *path, struct proc_buf *b);
int proc_read(struct session *s, const char *path, struct proc_buf *b);

/* /proc/PID/name; name may contain slashes ("task/7/status"). */
int proc_read_pid(struct session *s, pid_t pid, const char *name, struct proc_buf *b);

/*
 * The same for files that consist of one record (single_open(), simple_read_from_buffer() in the
 * kernel): a short read is all of it, so nothing tells the end.
 */
int proc_read_record(struct session *s, pid_t pid, const char *name, struct proc_buf *b);

/* Opens /proc/PID/name with O_CLOEXEC added to flags; returns the descriptor. */
int proc_open_pid(struct session *s, pid_t pid, const char *name, int flags);

/* The target of a symbolic link, of any length, in the session's arena. */
int proc_readlink_at(struct session *s, int dirfd, const char *path, char **ret);
int proc_readlink_pid(struct session *s, pid_t pid, const char *name, char **ret);

/* The task is gone (or never was): the errors that callers usually forgive. */
bool proc_gone(int err);

/* Records that the text of /proc/PID/name is not what a kernel writes. Returns err. */
int proc_malformed(struct session *s, int err, pid_t pid, const char *name);

#endif
