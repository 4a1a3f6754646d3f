/*
 * Inotify instances: inotify_init1(2), inotify_add_watch(2).
 *
 * fdinfo lists the watches with their numbers and masks; fsnotify.c finds the files. Watches are
 * set last of all, so that they see nothing of the restore, each under its old number
 * (INOTIFY_IOC_SETNEXTWD).  The bits of the mask that fdinfo shows beside events, IN_EXCL_UNLINK
 * and IN_ONESHOT, are given again; the reference drops them.
 *
 * Events that wait to be read cannot be made again. With --skip-in-flight the program is told so
 * in the kernel's own words: the restored queue holds one IN_Q_OVERFLOW.  It comes about as always,
 * by more events than the queue takes, before anyone is told of them by a signal. A full queue
 * takes no events of the restore either; at the end all but the last are read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "file/file_extras.h"
#include "file/fsnotify.h"

/* Bytes of a queue, if the machine's limit is far above the default of 16384 events. */
enum { OVERFLOW_MAX = 64 << 20 };

#ifndef INOTIFY_IOC_SETNEXTWD
#define INOTIFY_IOC_SETNEXTWD _IOW('I', 0, int32_t)
#endif

static bool inotify_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return strcmp(v->link, "anon_inode:inotify") == 0;
}

static int collect_watches(
	struct file_dump *d, struct file_view *v, struct dumped_file *f, InotifyFileEntry *e)
{
	VEC(InotifyWdEntry *) watches = {0};
	struct proc_fdinfo info;
	struct fdinfo_mark m;
	bool malformed;
	int r = view_fdinfo(d, v, &info);
	if (r < 0)
		return r;
	struct scan c = fdinfo_extra(&info);
	while (fdinfo_mark_next(&c, "inotify", &m, &malformed)) {
		InotifyWdEntry *w = arena_new(&d->s->arena, InotifyWdEntry);
		inotify_wd_entry__init(w);
		w->i_ino = m.ino;
		w->mask = (uint32_t)m.mask;
		w->ignored_mask = (uint32_t)m.ignored_mask;
		w->s_dev = (uint32_t)m.sdev;
		w->wd = (uint32_t)m.wd;
		w->f_handle = fsnotify_collect_mark(d, f, "an inotify watch", &m);
		*vec_push(&d->s->arena, &watches) = w;
	}
	e->wd = watches.v;
	e->n_wd = watches.n;
	return malformed ? view_malformed(d, v) : 0;
}

static int inotify_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	InotifyFileEntry *e = arena_new(&d->s->arena, InotifyFileEntry);
	f->detail = e;
	inotify_file_entry__init(e);
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	bool lose = d->s->opt->skip_in_flight;
	int r = fsnotify_check_queue(d, v, "an inotify instance",
		lose ? NULL
		     : "use --skip-in-flight to have the program told that events were lost "
		       "(IN_Q_OVERFLOW)");
	if (r > 0 && lose) {
		FermataFileEntry *x = file_extra_make(d, f);
		x->has_events_lost = x->events_lost = true;
	}
	if (r >= 0)
		r = collect_watches(d, v, f, e);
	return r < 0 ? r : fown_dump(d, v, &e->fown);
}

/* --- restore --- */

static int by_number(const void *a, const void *b)
{
	const InotifyWdEntry *x = *(InotifyWdEntry *const *)a, *y = *(InotifyWdEntry *const *)b;
	return (x->wd > y->wd) - (x->wd < y->wd);
}

static int inotify_check(struct file_set *f, struct open_file *o)
{
	const InotifyFileEntry *e = o->e->ify;
	o->flags = e->flags;
	o->fown = e->fown;
	int r = 0;
	if (e->n_wd)
		qsort(e->wd, e->n_wd, sizeof(*e->wd), by_number);
	for (size_t i = 0; i < e->n_wd && r >= 0; i++) {
		const InotifyWdEntry *w = e->wd[i];
		if (!w->wd || w->wd > INT32_MAX || !(w->mask & IN_ALL_EVENTS))
			return fail(f->s, EBADMSG, "%s: watch %u of its image is not sane",
				open_file_label(f, o), w->wd);
		r = fsnotify_check_mark(f, o, w->i_ino, w->s_dev, w->f_handle);
	}
	return r;
}

/* Fills the queue with reads and writes of a scratch file, up to the IN_Q_OVERFLOW at its end. */
static int overflow(int fd)
{
	int bytes = 0, before, watch;
	char path[32], byte = 0;
	_cleanup_close_ int memfd = memfd_create("scratch", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	/* what memfd_create() returns is not watched (FMODE_NONOTIFY) */
	_cleanup_close_ int scratch = memfd < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
	watch = scratch < 0 ? -1 : inotify_add_watch(fd, path, IN_ACCESS | IN_MODIFY);
	if (watch < 0)
		return -errno;
	do { /* two of a kind in a row would be one */
		before = bytes;
		if (pwrite(scratch, &byte, 1, 0) != 1 || pread(scratch, &byte, 1, 0) != 1 ||
			ioctl(fd, FIONREAD, &bytes) < 0)
			return -errno;
	} while (bytes > before && bytes < OVERFLOW_MAX);
	/* that the watch goes is not told: there is no room */
	if (inotify_rm_watch(fd, watch) < 0)
		return -errno;
	return bytes && bytes < OVERFLOW_MAX ? 0 : -EOVERFLOW;
}

static int inotify_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC);
	if (fd < 0)
		return fail_remedy(f->s, errno,
			errno == EMFILE ? "raise /proc/sys/fs/inotify/max_user_instances" : NULL,
			"%s: make an inotify instance", open_file_label(f, o));
	int r = file_extra_or(o, events_lost, false) ? overflow(fd) : 0;
	if (r < 0)
		return fail_remedy(f->s, r,
			"lower /proc/sys/fs/inotify/max_queued_events for the restore",
			"%s: have the queue of its inotify instance overflow",
			open_file_label(f, o));
	*ret_fd = take_fd(&fd);
	return 0;
}

static int add_watch(struct file_set *f, const struct open_file *o, const InotifyWdEntry *w, int fd)
{
	_cleanup_close_ int target = -1;
	int r = fsnotify_open_mark(f, o, w->i_ino, w->s_dev, w->f_handle, &target);
	if (r < 0)
		return r;
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	if (ioctl(fd, INOTIFY_IOC_SETNEXTWD, (long)w->wd) < 0)
		return fail_remedy(f->s, errno, "the kernel needs CONFIG_CHECKPOINT_RESTORE",
			"%s: choose the number of a watch", open_file_label(f, o));
	int wd = inotify_add_watch(
		fd, path, w->mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT));
	if (wd < 0)
		return fail_remedy(f->s, errno,
			errno == ENOSPC ? "raise /proc/sys/fs/inotify/max_user_watches" : NULL,
			"%s: watch inode %ju", open_file_label(f, o), (uintmax_t)w->i_ino);
	if ((uint32_t)wd != w->wd)
		return fail(f->s, EEXIST, "%s: watches %u and %d are on the same file now",
			open_file_label(f, o), w->wd, wd);
	return 0;
}

static int inotify_finish(struct file_set *f, struct open_file *o, int fd)
{
	const InotifyFileEntry *e = o->e->ify;
	int r = 0;
	for (size_t i = 0; i < e->n_wd && r >= 0; i++)
		r = add_watch(f, o, e->wd[i], fd);
	return r;
}

/* Leaves the last event, which has no name and so the least of lengths. */
static void read_all_but_last(int fd)
{
	char events[4096] __attribute__((aligned(8)));
	int bytes;
	while (ioctl(fd, FIONREAD, &bytes) == 0 && bytes > (int)sizeof(struct inotify_event)) {
		size_t n = (size_t)bytes - sizeof(struct inotify_event);
		if (read(fd, events, n < sizeof(events) ? n : sizeof(events)) <= 0)
			return;
	}
}

static void inotify_drain(struct file_set *f, struct open_file *o, int fd)
{
	if (file_extra_or(o, events_lost, false))
		read_all_but_last(fd);
	else
		fsnotify_drain(f, o, fd);
}

const struct file_type inotify_type = {
	.type = FD_TYPES__INOTIFY,
	.name = "inotify instance",
	.restored = "watches",
	.limits = "unread events, unless `--skip-in-flight` makes them IN_Q_OVERFLOW",
	.detail = offsetof(FileEntry, ify),
	.recognize = inotify_recognize,
	.collect = inotify_collect,
	.check = inotify_check,
	.create = inotify_create,
	.finish = inotify_finish,
	.drain = inotify_drain,
};
