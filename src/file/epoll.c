/*
 * Epoll sets: epoll_create(2). The restore side is epoll_restore.c.
 *
 * fdinfo lists the targets, each under the number by which it was added, with its events and data;
 * the number may be closed by now, or lead to another file, while some duplicate keeps the target
 * open, also in another task.  kcmp(KCMP_EPOLL_TFD) knows the true file, so a set is completed
 * when all descriptors of the tree are known.  The reference wants a number of the set's own task;
 * what that does not say, the number asked for or a file of another task, goes to
 * fermata-files.img.  The list of what is ready is hidden; whether it is empty can be asked.
 */
#include "file/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/fd_table.h"
#include "file/file_extras.h"
#include "kernel/syscalls.h"

static bool epoll_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return strcmp(v->link, "anon_inode:[eventpoll]") == 0;
}

/* How many targets before it were added by the same number: the kernel's "toff". */
static uint32_t next_of_number(struct file_dump *d, struct epoll_dump *set, uint32_t number)
{
	uint32_t *count = id_map_get(&set->numbers, number);
	if (!count) {
		count = arena_new(&d->s->arena, uint32_t);
		id_map_put(&d->s->arena, &set->numbers, number, count);
	}
	return (*count)++;
}

static int read_targets(struct file_dump *d, struct file_view *v, struct epoll_dump *set)
{
	struct proc_fdinfo info;
	struct fdinfo_epoll_target t;
	bool malformed = false;
	int r = view_fdinfo(d, v, &info);
	if (r < 0)
		return r;
	struct scan c = fdinfo_extra(&info);
	while (fdinfo_epoll_next(&c, &t, &malformed)) {
		struct epoll_target *target = vec_push(&d->s->arena, &set->targets);
		*target = (struct epoll_target){.line = t};
		target->nth = next_of_number(d, set, t.number);
	}
	return malformed ? view_malformed(d, v) : 0;
}

static void fill_entry(struct file_dump *d, const struct epoll_dump *set)
{
	EventpollFileEntry *e = set->e;
	size_t n = set->targets.n;
	EventpollTfdEntry *entries = arena_array(&d->s->arena, EventpollTfdEntry, n);
	e->n_tfd = n;
	e->tfd = arena_array(&d->s->arena, EventpollTfdEntry *, n);
	for (size_t i = 0; i < n; i++) {
		const struct fdinfo_epoll_target *t = &set->targets.v[i].line;
		e->tfd[i] = &entries[i];
		eventpoll_tfd_entry__init(&entries[i]);
		entries[i].tfd = t->number;
		entries[i].events = t->events;
		entries[i].data = t->data;
		entries[i].has_dev = entries[i].has_inode = entries[i].has_pos = t->has_inode;
		entries[i].dev = t->dev;
		entries[i].inode = t->ino;
		entries[i].pos = (uint64_t)t->pos;
	}
}

/* --- when all descriptors are known --- */

/* The inode of a target, NULL if no file of the tree is known to have it. */
static struct inode_info *inode_of(struct file_dump *d, const struct epoll_target *t)
{
	const struct fdinfo_epoll_target *line = &t->line;
	uint64_t dev = makedev(line->dev >> 20, line->dev & 0xfffff);
	struct inode_info *inode = line->has_inode ? file_inode(d, dev, line->ino) : NULL;
	if (inode && inode->files.n)
		return inode;
	vec_for_each (&d->files, f) /* where stat(2) shows another device: btrfs, overlayfs */
		if ((*f)->inode && (*f)->inode->ino == line->ino)
			return (*f)->inode;
	return NULL;
}

static bool is_socket(const struct dumped_file *f)
{
	return f->kind == FD_TYPES__UNIXSK || f->kind == FD_TYPES__INETSK ||
	       f->kind == FD_TYPES__PACKETSK || f->kind == FD_TYPES__NETLINKSK;
}

/* Compares an open file with a target: 0 same, -1 and 1 an order, below that -errno. */
static int compare(struct file_dump *d, const struct epoll_dump *set, const struct epoll_target *t,
	const struct dumped_file *f)
{
	return kcmp_epoll_target(d->s, f->from.task->pid, f->from.number, set->f->from.task->pid,
		(uint32_t)set->f->from.number, t->line.number, t->nth);
}

/*
 * What has the number now is what was added by it, as far as that can be told without asking the
 * kernel: it is not, it is, or it may be.
 */
enum guess { NO, YES, MAYBE };

static enum guess guess(struct file_dump *d, const struct epoll_target *t)
{
	if (!t->file || !t->file->inode)
		return NO;
	if (t->line.has_inode && t->file->inode != inode_of(d, t))
		return NO;
	/* only sockets have no second open file of the same inode */
	return t->line.has_inode && is_socket(t->file) ? YES : MAYBE;
}

static int guess_all(struct file_dump *d, struct epoll_dump *set)
{
	vec_for_each (&set->targets, t) {
		t->file = fd_table_find(set->f->from.task, t->line.number);
		enum guess g = guess(d, t);
		if (g == NO)
			t->file = NULL;
		t->sure = g != MAYBE;
	}
	epoll_ask(d, set);
	for (size_t i = 0; i < set->targets.n; i++) {
		struct epoll_target *t = &set->targets.v[i];
		int order = t->sure ? 0 : compare(d, set, t, t->file);
		if (order < -1)
			return order;
		if (order)
			t->file = NULL;
	}
	return 0;
}

struct sorting {
	struct file_dump *d;
	int error;
};

static int by_kcmp(const void *a, const void *b, void *arg)
{
	const struct file_source *x = &(*(struct dumped_file *const *)a)->from;
	const struct file_source *y = &(*(struct dumped_file *const *)b)->from;
	struct sorting *s = arg;
	int order = kcmp_files(s->d->s, x->task->pid, x->number, y->task->pid, y->number);
	if (order < -1)
		s->error = order;
	return order;
}

/* The descriptors of an inode in the kernel's order, sorted once. */
static int sort_files(struct file_dump *d, struct inode_info *inode)
{
	struct sorting s = {.d = d};
	if (inode->n_sorted == inode->files.n)
		return 0;
	inode->n_sorted = inode->files.n;
	inode->sorted.n = 0;
	vec_for_each (&inode->files, f)
		if ((*f)->from.task && (*f)->from.number >= 0)
			*vec_push(&d->s->arena, &inode->sorted) = *f;
	if (inode->sorted.n)
		qsort_r(inode->sorted.v, inode->sorted.n, sizeof(*inode->sorted.v), by_kcmp, &s);
	return s.error;
}

/* Any file of the tree that is the target. */
static int search(struct file_dump *d, const struct epoll_dump *set, struct epoll_target *t)
{
	struct inode_info *inode = inode_of(d, t);
	int r = inode ? sort_files(d, inode) : 0;
	size_t low = 0, high = inode ? inode->sorted.n : 0;
	while (low < high && r >= 0) {
		size_t middle = (low + high) / 2;
		r = compare(d, set, t, inode->sorted.v[middle]);
		if (r < -1)
			return r;
		if (!r) {
			t->file = inode->sorted.v[middle];
			return 0;
		}
		if (r < 0) /* the file is lower than the target */
			low = middle + 1;
		else
			high = middle;
		r = 0;
	}
	return r;
}

/* For the reference a number of the same task, for us the number that was asked for. */
static void note_deviation(struct file_dump *d, struct epoll_dump *set, size_t i)
{
	const struct epoll_target *t = &set->targets.v[i];
	FermataFileEntry *extra = file_extra_make(d, set->f);
	FermataEpollTarget *e = arena_new(&d->s->arena, FermataEpollTarget);
	fermata_epoll_target__init(e);
	e->index = (uint32_t)i;
	e->number = t->line.number;
	e->file = t->file->id;
	*vec_push(&d->s->arena, &set->deviations) = e;
	extra->n_epoll_targets = set->deviations.n;
	extra->epoll_targets = set->deviations.v;
	int number = fd_table_number(d, set->f->from.task, t->file);
	if (number >= 0)
		set->e->tfd[i]->tfd = (uint32_t)number;
}

static bool is_pure_edge(uint32_t events)
{
	return events & EPOLLET && !(events & EPOLLONESHOT);
}

/*
 * An edge that was delivered would come again when the target is added anew. Where nothing was
 * ready, all were. Not asked where asking changes the answer: a signalfd tells of signals of
 * whoever asks, and the kernel forgets what is not ready for that one.
 */
static int note_idle(struct file_dump *d, struct epoll_dump *set)
{
	bool edges = false;
	vec_for_each (&set->targets, t) {
		if (t->file->kind == FD_TYPES__SIGNALFD || t->file->kind == FD_TYPES__EVENTPOLL)
			return 0;
		edges |= is_pure_edge(t->line.events);
	}
	if (!edges)
		return 0;
	_cleanup_close_ int fd = source_take(d, &set->f->from);
	if (fd < 0)
		return fd;
	int events = sys_poll_now(fd, POLLIN);
	if (events < 0)
		return fail(d->s, events, "pid %d %s: ask whether it is ready", set->f->from.task->vpid,
			source_label(d, &set->f->from));
	if (!events) {
		FermataFileEntry *extra = file_extra_make(d, set->f);
		extra->has_epoll_idle = extra->epoll_idle = true;
	}
	return 0;
}

static int epoll_complete(struct file_dump *d, void *object)
{
	struct epoll_dump *set = object;
	if (d->s->blockers.n) /* targets may be among what is blocked */
		return 0;
	int r = guess_all(d, set);
	for (size_t i = 0; i < set->targets.n && r >= 0; i++) {
		struct epoll_target *t = &set->targets.v[i];
		if (t->file)
			continue;
		r = search(d, set, t);
		if (r >= 0 && t->file)
			note_deviation(d, set, i);
		if (r >= 0 && !t->file) {
			block(d->s, set->f->from.task->vpid, NULL,
				"fd %d: an epoll set that watches a file, added as fd %u, which "
				"nobody in the tree has open any more",
				set->f->from.number, t->line.number);
			return 0;
		}
	}
	return r < 0 ? r : note_idle(d, set);
}

static int epoll_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	EventpollFileEntry *e = arena_new(&d->s->arena, EventpollFileEntry);
	struct epoll_dump *set = arena_new(&d->s->arena, struct epoll_dump);
	*set = (struct epoll_dump){.f = f, .e = e};
	f->detail = e;
	eventpoll_file_entry__init(e);
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	int r = read_targets(d, v, set);
	if (r < 0)
		return r;
	if (set->targets.n && v->from.number < 0) {
		view_block(d, v, NULL, "an epoll set on its way through a socket");
		return 0;
	}
	fill_entry(d, set);
	if (set->targets.n)
		file_dump_when_all(d, epoll_complete, set);
	return fown_dump(d, v, &e->fown);
}

const struct file_type epoll_type = {
	.type = FD_TYPES__EVENTPOLL,
	.name = "epoll set",
	.restored = "targets with events and data, in other tasks, closed, nested; edges "
		"that were not reported",
	.limits = "targets that nobody in the tree has open",
	.detail = offsetof(FileEntry, epfd),
	.recognize = epoll_recognize,
	.collect = epoll_collect,
	.check = epoll_check,
	.create = epoll_create_file,
	.install = epoll_install,
};
