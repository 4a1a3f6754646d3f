/*
 * /proc/PID/task (one directory per thread) and /proc/PID/task/TID/children.
 *
 * fs/proc/base.c proc_task_readdir() lists threads in thread-group order, the leader first.
 * children needs CONFIG_PROC_CHILDREN and lists the children whose real parent is that very
 * thread (fs/proc/array.c get_children_pid()); it may miss some while tasks exit, so callers
 * stop the parent first.  A process with more threads than there are processes is found in these as
 * their parent instead.
 */
#include "kernel/proc_tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/session.h"
#include "base/share.h"
#include "kernel/proc_stat.h"
#include "kernel/scan.h"

/* As getdents64(2) fills it. */
struct dirent_raw {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

int proc_children_parse(struct arena *a, const char *text, size_t len, pid_vec *out)
{
	struct scan c = SCAN(text, len);
	for (;;) {
		while (scan_char(&c, ' ') || scan_char(&c, '\n'))
			;
		if (scan_done(&c))
			return 0;
		int pid;
		if (!scan_int(&c, &pid) || pid < 0)
			return -EINVAL;
		*vec_push(a, out) = pid;
	}
}

static void add_names(struct arena *a, const char *block, size_t len, pid_vec *out)
{
	for (size_t at = 0; at < len;) {
		const struct dirent_raw *d = (const void *)(block + at);
		struct scan c = SCAN(d->name, strlen(d->name));
		int tid;
		if (scan_int(&c, &tid) && scan_done(&c)) /* not "." and ".." */
			*vec_push(a, out) = tid;
		at += d->reclen;
	}
}

/* The numbers among the names in a directory. */
static int list_numbers(struct session *s, int dir, pid_vec *out)
{
	_Alignas(struct dirent_raw) char block[16384];
	for (;;) {
		long n = syscall(SYS_getdents64, dir, block, sizeof(block));
		if (n < 0)
			return -errno;
		if (!n)
			return 0;
		add_names(&s->arena, block, (size_t)n, out);
	}
}

int proc_list_tids(struct session *s, pid_t pid, pid_vec *out)
{
	_cleanup_close_ int fd = proc_open_pid(s, pid, "task", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	int err = list_numbers(s, fd, out);
	return err && !proc_gone(err) ? fail(s, err, "pid %d: cannot list its threads", pid) : err;
}

enum {
	PF_IO_WORKER = 0x10,
	MANY_THREADS = 256,
};

bool proc_is_io_worker(struct session *s, pid_t tid)
{
	/* workers have no robust list, threads of C libraries do: that spares most of the reading */
	void *head = NULL;
	size_t len;
	struct proc_stat stat;
	if (syscall(SYS_get_robust_list, tid, &head, &len) == 0 && head)
		return false;
	return proc_stat_read(s, tid, &stat) >= 0 && stat.flags & PF_IO_WORKER;
}

/* dir: /proc/PID/task. */
static int list_of_thread(
	struct session *s, int dir, pid_t pid, pid_t tid, struct proc_buf *b, pid_vec *out)
{
	char name[PROC_PATH_MAX / 2];
	snprintf(name, sizeof(name), "%d/children", tid);
	int err = proc_read_at(s, dir, name, b);
	if (err)
		return err;
	err = proc_children_parse(&s->arena, b->data, b->len, out);
	return err ? proc_malformed(s, err, pid, name) : 0;
}

struct listing {
	pid_t pid;
	int dir;
	const pid_vec *tids;
	pid_vec *lists; /* one for each thread */
};

static int list_share(struct session *s, void *arg, size_t i)
{
	const struct listing *l = arg;
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int err = list_of_thread(s, l->dir, l->pid, l->tids->v[i], &b, &l->lists[i]);
	return proc_gone(err) ? 0 : err;
}

/* Most tasks have one thread, and need no directory to look it up in. */
static int list_of_one(struct session *s, pid_t pid, pid_t tid, pid_vec *out)
{
	char path[PROC_PATH_MAX];
	_cleanup_proc_buf_ struct proc_buf b = {0};
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	int err = proc_read(s, path, &b);
	if (err)
		return proc_gone(err) ? 0 : err;
	err = proc_children_parse(&s->arena, b.data, b.len, out);
	return err ? proc_malformed(s, err, pid, "children") : 0;
}

/* --- by asking all processes for their parent --- */

struct family {
	pid_t parent;
	pid_vec pids;
	bool *is_child; /* of each */
};

static int ask_for_parent(struct session *s, void *arg, size_t i)
{
	const struct family *f = arg;
	struct proc_stat stat;
	int err = proc_stat_read(s, f->pids.v[i], &stat);
	f->is_child[i] = !err && stat.ppid == f->parent;
	return proc_gone(err) ? 0 : err;
}

/* Returns 1 if it is not worth it: a process costs more to ask than a thread. */
static int list_by_parent(struct session *s, pid_t pid, size_t n_threads, pid_vec *out)
{
	struct family f = {.parent = pid};
	_cleanup_close_ int dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || list_numbers(s, dir, &f.pids) || f.pids.n > n_threads / 2)
		return 1;
	f.is_child = arena_array(&s->arena, bool, f.pids.n);
	int err = share_out(s, f.pids.n, ask_for_parent, &f);
	for (size_t i = 0; i < f.pids.n && !err; i++)
		if (f.is_child[i])
			*vec_push(&s->arena, out) = f.pids.v[i];
	return err;
}

int proc_list_children_of(struct session *s, pid_t pid, const pid_vec *tids, pid_vec *out)
{
	if (tids->n == 1)
		return list_of_one(s, pid, tids->v[0], out);
	int r = tids->n < MANY_THREADS ? 1 : list_by_parent(s, pid, tids->n, out);
	if (r <= 0)
		return r;
	_cleanup_close_ int dir = proc_open_pid(s, pid, "task", O_PATH | O_DIRECTORY);
	if (dir < 0)
		return dir;
	struct listing l = {pid, dir, tids, arena_array(&s->arena, pid_vec, tids->n)};
	int err = share_out(s, tids->n, list_share, &l);
	if (err)
		return err;
	for (size_t i = 0; i < tids->n; i++)
		vec_for_each (&l.lists[i], child)
			*vec_push(&s->arena, out) = *child;
	return 0;
}

int proc_list_children(struct session *s, pid_t pid, pid_vec *out)
{
	pid_vec tids = {0};
	int err = proc_list_tids(s, pid, &tids);
	return err ? err : proc_list_children_of(s, pid, &tids, out);
}
