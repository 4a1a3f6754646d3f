/*
 * Dump of descriptor tables: fdinfo-<files_id>.img.
 *
 * A descriptor is a number, its close-on-exec flag and the open file it refers to.  The flag is
 * read inside the task (F_GETFD), the file taken out with pidfd_getfd(2), as many at a time as half
 * of the controller's own limit allows.  What the parent has under the same number is usually the
 * very same file, left by fork(): one kcmp(2) tells.  The restore side is fd_install.c.
 */
#include "file/fd_table.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/share.h"
#include "file/description.h"
#include "file/dumping.h"
#include "file/file_lock.h"
#include "kernel/proc_status.h"
#include "kernel/procfs.h"
#include "kernel/syscalls.h"

enum { WORTH_ASKING = 64 };

struct listed_fd {
	int fd;
	int flags_step;		  /* of F_GETFD */
	struct dumped_file *file; /* NULL: blocked, or not open */
	bool closed;		  /* by the time its flags were asked for */
	uint32_t flags;
};

struct fd_listing {
	VEC(struct listed_fd) fds; /* ascending */
	struct id_map by_file;	   /* struct listed_fd, by the file's id; made when asked for */
};

bool shares_files(const struct task *t)
{
	return t->parent && t->ids && t->parent->ids && task_lives(t->parent) &&
	       t->ids->files_id == t->parent->ids->files_id;
}

/*
 * Listing a descriptor costs several times what asking for its flags does: in a large table without
 * many holes all numbers are asked for. Linux 6.2 tells how many are open (the size of the
 * directory).
 */
static bool list_all_numbers(
	struct session *s, const struct task *t, int dir, struct fd_listing *list)
{
	struct stat st;
	struct proc_status now;
	if (fstat(dir, &st) < 0 || st.st_size < WORTH_ASKING ||
		proc_status_read(s, t->pid, &now) < 0 || now.fd_size > 2 * st.st_size)
		return false;
	list->fds.v = arena_array(&s->arena, struct listed_fd, now.fd_size);
	list->fds.n = list->fds.cap = (size_t)now.fd_size;
	for (int i = 0; i < now.fd_size; i++)
		list->fds.v[i] = (struct listed_fd){.fd = i};
	return true;
}

int fd_table_list(struct session *s, struct task *t)
{
	struct fd_listing *list = arena_new(&s->arena, struct fd_listing);
	t->files = list;
	_cleanup_close_ int fd = proc_open_pid(s, t->pid, "fd", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fail(s, fd, "pid %d: list its descriptors", t->vpid);
	if (list_all_numbers(s, t, fd, list))
		return 0;
	_cleanup_dir_ DIR *dir = fdopendir(fd);
	if (!dir)
		return fail(s, errno, "pid %d: list its descriptors", t->vpid);
	take_fd(&fd);
	struct dirent *entry;
	int err = 0;
	while ((entry = next_entry(dir, &err)))
		if (isdigit((unsigned char)entry->d_name[0]))
			*vec_push(&s->arena, &list->fds) =
				(struct listed_fd){.fd = atoi(entry->d_name)};
	return err < 0 ? fail(s, err, "pid %d: list its descriptors", t->vpid) : 0;
}

void fd_table_collect(struct task *t, struct program *p)
{
	struct fd_listing *list = t->files;
	if (shares_files(t))
		return;
	vec_for_each (&list->fds, l)
		l->flags_step =
			program_may_fail(p, program_step(p, "get descriptor flags", NULL, SYS_fcntl,
						    imm((uint64_t)l->fd), imm(F_GETFD)));
}

int fd_table_take(struct task *t, const struct program *p)
{
	struct fd_listing *list = t->files;
	if (shares_files(t))
		return 0;
	vec_for_each (&list->fds, l) {
		int64_t flags = program_result(p, l->flags_step);
		l->closed = flags == -EBADF;
		if (flags < 0 && !l->closed)
			return fail(p->s, (int)flags, "pid %d fd %d: get its flags", t->vpid, l->fd);
		l->flags = l->closed ? 0 : (uint32_t)flags;
	}
	return 0;
}

static struct fd_listing *listing_of(const struct task *t)
{
	while (t && task_lives(t) && shares_files(t))
		t = t->parent;
	return t && task_lives(t) ? t->files : NULL;
}

static struct dumped_file *inherited(const struct task *t, const struct fd_listing *parents,
	size_t *at, const struct listed_fd *l)
{
	while (parents && *at < parents->fds.n && parents->fds.v[*at].fd < l->fd)
		++*at;
	if (!parents || *at == parents->fds.n)
		return NULL;
	const struct listed_fd *theirs = &parents->fds.v[*at];
	bool same = theirs->fd == l->fd && theirs->file &&
		    sys_kcmp(t->pid, t->parent->pid, KCMP_FILE, (unsigned long)l->fd,
			    (unsigned long)l->fd) == 0;
	return same ? theirs->file : NULL;
}

/* --- those that fork() did not leave --- */

enum {
	FEW = 32, /* that many copies fit into a table of the first size (NR_OPEN_DEFAULT) */
	WINDOW_MAX = 1024, /* how many wait at a time */
	WINDOW_MIN = 16,
	/* The first of several: what it tells of them all may save asking for each. */
	WINDOW_FIRST = 128,
	MANY = 4 * WINDOW_FIRST,
};

struct fresh_fd {
	struct listed_fd *l;
	struct file_view v; /* its fd is -1 if it was closed meanwhile */
};

struct window {
	struct file_dump *d;
	struct task *t;
	int pidfd;
	struct fresh_fd *v;
	size_t n, most; /* in this one, in any one of the table */
	struct identities *table;
};

static bool same_path(const struct file_identity *a, const struct file_identity *b)
{
	return a && b && a->dentry == b->dentry && a->mount == b->mount;
}

static int look(struct session *s, void *arg, size_t i)
{
	const struct window *w = arg;
	struct desk *desk = &w->d->desks[s != w->d->s]; /* each thread has a session */
	struct fresh_fd *f = &w->v[i];
	f->v.identity = identity_of(w->table, f->l->fd);
	if (desk->last && same_path(desk->last->identity, f->v.identity))
		f->v.like = desk->last;
	int fd = sys_pidfd_getfd(w->pidfd, f->l->fd);
	if (fd == -EBADF && f->l->closed)
		return 0;
	if (fd < 0)
		return fail_remedy(s, fd,
			fd == -EMFILE ? "raise the limit of open files (ulimit -n)" : NULL,
			"pid %d fd %d: get it", w->t->vpid, f->l->fd);
	f->v.fd = fd;
	if (f->l->closed)
		return fail(s, EBADF, "pid %d fd %d: get its flags", w->t->vpid, f->l->fd);
	desk->last = &f->v;
	int r = file_look(s, w->d, desk, &f->v);
	return r < 0 ? fail(s, r, "pid %d fd %d: examine it", w->t->vpid, f->l->fd) : 0;
}

/*
 * A table of descriptors that grows while two threads have it waits for RCU: it grows before.
 */
static int make_room(struct window *w)
{
	w->d->desks[0].last = w->d->desks[1].last = NULL;
	int r = desk_make(w->d, &w->d->desks[0]);
	if (w->most <= FEW || r < 0)
		return r;
	r = desk_make(w->d, &w->d->desks[1]);
	close(fcntl(w->d->proc_self_fd, F_DUPFD_CLOEXEC, 2 * FEW + (int)w->most));
	return r;
}

/* Of few, by this thread: there is a desk for the other one only where there are many. */
static int look_at_all(struct window *w)
{
	struct session *s = w->d->s;
	if (w->n > FEW)
		return share_out(s, w->n, look, w);
	int r = 0;
	for (size_t i = 0; i < w->n && r >= 0; i++)
		r = look(s, w, i);
	return r;
}

static int tell_apart(struct window *w)
{
	struct file_view **views = arena_array(&w->d->s->arena, struct file_view *, w->n);
	size_t n = 0;
	for (size_t i = 0; i < w->n; i++) {
		struct file_view *v = &w->v[i].v;
		if (v->fd < 0)
			continue;
		views[n++] = v;
		int r = file_look_further(w->d, v);
		if (r < 0)
			return fail(w->d->s, r, "pid %d %s: examine it", w->t->vpid,
				view_label(w->d, v));
	}
	return descriptions_find(w->d, w->table, views, n);
}

static int store_one(struct window *w, struct fresh_fd *f)
{
	if (f->v.fd < 0)
		return 0;
	int r = file_dump_view(w->d, &f->v, &f->l->file);
	if (r >= 0 && f->l->file->kind == FD_TYPES__UND)
		f->l->file = NULL;
	return r >= 0 && f->l->file ? file_lock_collect(w->d, w->t, f->l->fd, f->l->file, &f->v)
				    : r;
}

static int store_window(struct window *w, struct listed_fd *const *fresh)
{
	for (size_t i = 0; i < w->n; i++)
		w->v[i] = (struct fresh_fd){.l = fresh[i],
			.v = {.from = {.task = w->t, .number = fresh[i]->fd},
				.fd = -1,
				.stays = true}};
	int r = make_room(w);
	if (r >= 0)
		r = look_at_all(w);
	if (r >= 0)
		r = tell_apart(w);
	for (size_t i = 0; i < w->n && r >= 0; i++)
		r = store_one(w, &w->v[i]);
	if (r >= 0)
		r = views_read(w->d);
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].v.fd >= 0 && !w->v[i].v.taken)
			close(w->v[i].v.fd);
	return r;
}

/* Half of what is left for copies that wait. */
static size_t window_size(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < 2 * (FEW + WINDOW_MIN))
		return WINDOW_MIN;
	size_t half = (limit.rlim_cur - 2 * FEW) / 2;
	return half > WINDOW_MAX ? WINDOW_MAX : half;
}

static int store_fresh(
	struct file_dump *d, struct task *t, struct listed_fd *const *fresh, size_t n)
{
	if (!n)
		return 0;
	_cleanup_close_ int pidfd = sys_pidfd_open(t->pid, 0);
	if (pidfd < 0)
		return fail(d->s, pidfd, "pid %d: open a pidfd", t->vpid);
	struct identities table = {.pidfd = pidfd, .n_fds = n};
	struct window w = {.d = d, .t = t, .pidfd = pidfd, .most = window_size(), .table = &table};
	if (w.most > n)
		w.most = n;
	w.v = arena_array(&d->s->arena, struct fresh_fd, w.most);
	int r = 0;
	for (size_t i = 0; i < n && r >= 0; i += w.n) {
		size_t room = !i && w.most > MANY ? WINDOW_FIRST : w.most;
		w.n = n - i < room ? n - i : room;
		r = store_window(&w, fresh + i);
	}
	return r;
}

int fd_table_store(struct file_dump *d, struct task *t)
{
	if (shares_files(t)) {
		t->files = NULL;
		return 0;
	}
	struct fd_listing *list = t->files;
	const struct fd_listing *parents = listing_of(t->parent);
	struct listed_fd **fresh = arena_array(&d->s->arena, struct listed_fd *, list->fds.n);
	size_t at = 0, n = 0;
	vec_for_each (&list->fds, l) {
		if (l->closed)
			continue;
		l->file = inherited(t, parents, &at, l);
		int r = l->file ? file_lock_collect(d, t, l->fd, l->file, NULL) : 0;
		if (r < 0)
			return r;
		if (!l->file)
			fresh[n++] = l;
	}
	return store_fresh(d, t, fresh, n);
}

struct dumped_file *fd_table_find(const struct task *t, uint32_t fd)
{
	const struct fd_listing *list = listing_of(t);
	size_t low = 0, high = list ? list->fds.n : 0;
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct listed_fd *l = &list->fds.v[middle];
		if ((uint32_t)l->fd == fd)
			return l->file;
		if ((uint32_t)l->fd < fd)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

int fd_table_number(struct file_dump *d, const struct task *t, const struct dumped_file *file)
{
	struct fd_listing *list = listing_of(t);
	if (!list)
		return -1;
	if (!list->by_file.n)
		vec_for_each (&list->fds, l)
			if (l->file)
				id_map_put(&d->s->arena, &list->by_file, l->file->id, l);
	const struct listed_fd *l = id_map_get(&list->by_file, file->id);
	return l ? l->fd : -1;
}

size_t fd_table_find_link(const struct task *t, const char *link, const struct dumped_file **ret)
{
	const struct fd_listing *list = listing_of(t);
	size_t n = 0;
	*ret = NULL;
	for (size_t i = 0; list && i < list->fds.n; i++) {
		const struct dumped_file *f = list->fds.v[i].file;
		if (!f || f == *ret || strcmp(f->link, link) != 0)
			continue;
		*ret = f;
		n++;
	}
	return n;
}

int fd_table_write(struct session *s, const struct task *t)
{
	if (shares_files(t))
		return 0;
	const struct fd_listing *list = t->files;
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, s->images, IMG_FDINFO, t->ids->files_id);
	vec_for_each (&list->fds, l) {
		if (!l->file)
			continue;
		FdinfoEntry e = FDINFO_ENTRY__INIT;
		e.id = l->file->id;
		e.type = l->file->kind;
		e.flags = l->flags;
		e.fd = (uint32_t)l->fd;
		int r = image_write(s, &w, &e.base);
		if (r < 0)
			return r;
	}
	return image_writer_close(s, &w);
}
