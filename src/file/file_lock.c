/*
 * File locks: POSIX (of a descriptor table), OFD and flock (of an open file), and leases.
 *
 * fdinfo of a task shows the locks that it, or the open file, has.  It is read where F_GETLK tells
 * of POSIX locks on the inode, or our own fdinfo of a copy (cheaper, and by two threads) of others.
 * /proc/locks would tell which inodes have any, but to open it takes a grace period of RCU, 12 ms
 * and more (locks_start(), fs/locks.c: it is the writer of file_rwsem), in which two thousand
 * fdinfos are read.  So it is asked only when there are more, and where it is complete
 * (proc_locks.h) and the filesystem shows stat() the inode number that locks have.
 *
 * A task takes its locks itself, so that they have its pid, and as the last thing of all: closing
 * any descriptor of a file drops all POSIX locks of that table on it.
 */
#include "file/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file/dumping.h"
#include "file/restoring.h"
#include "kernel/proc_fdinfo.h"
#include "kernel/proc_locks.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

enum {
	INIT_PID_NS = 0xEFFFFFFC, /* inode of the first pid namespace (linux/proc_ns.h) */
	OLD_MANDATORY = 32,	  /* LOCK_MAND of flock(2), gone since Linux 5.15 */
	BREAKING = 4,		  /* of a lease's type in images */
	LISTING_COSTS = 2000,	  /* as many fdinfos take as long */
};

struct lock_dump {
	struct id_map inodes; /* by number: enum lock_kind bits */
	bool listed;	      /* /proc/locks was read */
	bool complete;	      /* it shows all */
	unsigned n_asked;     /* fdinfos read without it */
	unsigned n, posix_of_tree, posix_found;
	VEC(FileLockEntry *) entries;
};

/* --- dump --- */

static const struct task *task_of(const struct tree *tree, pid_t pid)
{
	vec_for_each (&tree->tasks, t)
		if ((*t)->pid == pid)
			return *t;
	return NULL;
}

static unsigned kinds_of(const struct lock_dump *l, uint64_t ino)
{
	return (unsigned)(uintptr_t)id_map_get(&l->inodes, ino);
}

static int list_locks(struct file_dump *d)
{
	struct lock_dump *l = d->locks;
	l->listed = true;
	_cleanup_proc_buf_ struct proc_buf buf = {0};
	struct stat st;
	l->complete = stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == INIT_PID_NS;
	int r = proc_read(d->s, "/proc/locks", &buf);
	if (r < 0)
		return fail(d->s, r, "read /proc/locks");
	struct scan text = SCAN(buf.data, buf.len), line;
	while (scan_line(&text, &line)) {
		struct lock_info lock;
		if (!lock_parse(&line, &lock))
			return fail(d->s, EINVAL, "/proc/locks is not what a kernel writes");
		if (lock.waiting)
			continue;
		l->n++;
		l->posix_of_tree += lock.kind == LOCK_POSIX && task_of(d->tree, lock.pid);
		uintptr_t kinds = kinds_of(l, lock.ino) | (unsigned)lock.kind;
		id_map_put(&d->s->arena, &l->inodes, lock.ino, (void *)kinds);
	}
	return 0;
}

int file_lock_begin(struct file_dump *d)
{
	d->locks = arena_new(&d->s->arena, struct lock_dump);
	return 0;
}

/* Whether st_ino is the number that the kernel shows with locks. */
static bool shows_inode_numbers(long fs_type)
{
	static const long types[] = {EXT4_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC,
		BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC};
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (fs_type == types[i])
			return true;
	return false;
}

static bool may_hide(const struct lock_dump *l, const struct file_view *v)
{
	if (v->flags & O_PATH)
		return false;
	if (!l->listed)
		return true;
	/* nobody locks a socket or an event counter; if so, /proc/locks shows it */
	if (v->link[0] != '/')
		return false;
	return !l->complete || (l->n && !shows_inode_numbers(v->fs_type));
}

/* POSIX locks of any table, OFD locks of any file. */
static bool has_byte_locks(const struct file_view *v)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(v->fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* F_GETLK is answered by the kernel itself: these have no lock() of their own. */
static bool has_no_server(const struct file_view *v)
{
	static const long types[] = {OVERLAYFS_SUPER_MAGIC, RAMFS_MAGIC, PROC_SUPER_MAGIC,
		SYSFS_MAGIC, DEVPTS_SUPER_MAGIC, CGROUP2_SUPER_MAGIC};
	if (v->link[0] != '/' || shows_inode_numbers(v->fs_type))
		return true;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (v->fs_type == types[i])
			return true;
	return false;
}

/*
 * Our own fdinfo of the same open file shows all but POSIX locks, which are of another table.  It
 * is one record: what does not come with the first read is too long for the buffer.
 */
int file_lock_look(struct session *s, const struct file_dump *d, struct file_view *v)
{
	if (v->flags & O_PATH || d->locks->listed)
		return 0;
	char name[16], text[4096];
	struct proc_fdinfo info;
	snprintf(name, sizeof(name), "%d", v->fd);
	_cleanup_close_ int fd = openat(d->proc_self_fdinfo, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof(text))
		return 0;
	int r = proc_fdinfo_parse(&s->arena, text, (size_t)n, &info);
	if (r < 0)
		return r;
	struct scan extra = fdinfo_extra(&info), line;
	v->shows_no_lock = !fdinfo_next(&extra, "lock", &line);
	return 0;
}

static bool is_worth_reading(struct lock_dump *l, struct dumped_file *f, const struct file_view *v)
{
	unsigned kinds = kinds_of(l, f->inode->ino);
	if (f->locks_read_by) /* only POSIX locks are not those of the open file */
		return kinds & LOCK_POSIX || f->inode->may_have_posix;
	if (v && may_hide(l, v)) {
		f->inode->may_have_posix = has_byte_locks(v);
		l->n_asked++;
		return f->inode->may_have_posix || !v->shows_no_lock || !has_no_server(v);
	}
	return kinds;
}

static void block_lock(struct file_dump *d, const struct task *t, int fd,
	const struct dumped_file *f, const struct lock_info *lock)
{
	char text[LOCK_TEXT];
	lock_text(lock, text);
	if (lock->kind == LOCK_OTHER || lock->type < 0)
		block(d->s, t->vpid, NULL, "fd %d: %s on %s, which is not supported", fd, text,
			f->link);
	else if (lock->breaking)
		block(d->s, t->vpid, "dump again when the holder has given it up",
			"fd %d: the lease on %s is being broken", fd, f->link);
	else if (!d->s->opt->file_locks)
		block(d->s, t->vpid, "use --file-locks", "fd %d: %s, of %s", fd, text, f->link);
}

static void add_lock(
	struct file_dump *d, const struct task *t, int fd, const struct lock_info *lock)
{
	FileLockEntry *e = arena_new(&d->s->arena, FileLockEntry);
	file_lock_entry__init(e);
	e->flag = lock->kind;
	e->type = (uint32_t)lock->type;
	e->pid = t->vpid;
	e->fd = fd;
	e->start = lock->start;
	e->len = lock->end < 0 ? 0 : lock->end - lock->start + 1;
	*vec_push(&d->s->arena, &d->locks->entries) = e;
}

static int read_locks(
	struct file_dump *d, struct task *t, int fd, struct dumped_file *f, bool only_posix)
{
	_cleanup_proc_buf_ struct proc_buf buf = {0};
	struct proc_fdinfo info;
	int r = proc_fdinfo_read(d->s, t->pid, fd, &buf, &info);
	if (r < 0)
		return fail(d->s, r, "pid %d fd %d: read its locks", t->vpid, fd);
	struct scan text = fdinfo_extra(&info), line;
	while (fdinfo_next(&text, "lock", &line)) {
		struct lock_info lock;
		if (!lock_parse(&line, &lock))
			return fail(d->s, EINVAL, "pid %d fd %d: fdinfo shows a lock as \"%.*s\"",
				t->vpid, fd, (int)(line.end - line.p), line.p);
		if (only_posix && lock.kind != LOCK_POSIX)
			continue;
		d->locks->posix_found += lock.kind == LOCK_POSIX && task_of(d->tree, lock.pid);
		block_lock(d, t, fd, f, &lock);
		add_lock(d, t, fd, &lock);
	}
	return 0;
}

int file_lock_collect(struct file_dump *d, struct task *t, int fd, struct dumped_file *f,
	const struct file_view *v)
{
	if (f->locks_read_by == t) /* another number of the same file in the same table */
		return 0;
	if (v && !v->shows_no_lock && fcntl(v->fd, F_GETLEASE) == F_WRLCK)
		f->inode->leased = true;
	if (d->locks->n_asked == LISTING_COSTS && !d->locks->listed) {
		int r = list_locks(d);
		if (r < 0)
			return r;
	}
	bool read = is_worth_reading(d->locks, f, v), only_posix = f->locks_read_by;
	f->locks_read_by = t;
	return read ? read_locks(d, t, fd, f, only_posix) : 0;
}

/* Descriptors come before mappings: a file that one has leased for writing nobody else has open. */
bool file_lock_forbids_open(const struct file_dump *d, const struct file_view *v)
{
	if (v->inode->leased)
		return true;
	if (!v->path_only && !(v->flags & O_PATH) && fcntl(v->fd, F_GETLEASE) == F_WRLCK)
		return true;
	return d->locks && kinds_of(d->locks, v->st.stx_ino) & LOCK_LEASE;
}

/* Files that only a queue of sockets has: no task could take the lock again. */
static int check_queued(struct file_dump *d, const struct dumped_file *f)
{
	struct proc_fdinfo info;
	struct scan line;
	_cleanup_proc_buf_ struct proc_buf buf = {0};
	const struct file_source *from = &f->from;
	if (f->locks_read_by || !from->task || from->task->pid != getpid() || from->number < 0 ||
		f->link[0] != '/' || (d->locks->complete && !kinds_of(d->locks, f->inode->ino)))
		return 0;
	int r = proc_fdinfo_read(d->s, getpid(), from->number, &buf, &info);
	if (r < 0)
		return fail(d->s, r, "%s: read its locks", source_label(d, from));
	struct scan text = fdinfo_extra(&info);
	if (fdinfo_next(&text, "lock", &line))
		block(d->s, from->task->vpid, "have it received, or unlocked, before the dump",
			"%s (%s) has a lock, which cannot be kept there", source_label(d, from),
			f->link);
	return 0;
}

int file_lock_check(struct file_dump *d)
{
	const struct lock_dump *l = d->locks;
	vec_for_each (&d->files, f) {
		int r = check_queued(d, *f);
		if (r < 0)
			return r;
	}
	if (l->posix_found < l->posix_of_tree)
		block(d->s, d->tree->root->vpid, NULL,
			"%u POSIX lock%s of the tree (/proc/locks) cannot be found at its "
			"descriptors",
			l->posix_of_tree - l->posix_found,
			l->posix_of_tree - l->posix_found == 1 ? "" : "s");
	return 0;
}

int file_lock_write(struct file_dump *d)
{
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, d->s->images, IMG_FILE_LOCKS, 0);
	vec_for_each (&d->locks->entries, e) {
		int r = image_write(d->s, &w, &(*e)->base);
		if (r < 0)
			return r;
	}
	return image_writer_close(d->s, &w);
}

/* --- restore --- */

static bool is_sane(const FileLockEntry *e)
{
	bool known = e->flag == LOCK_POSIX || e->flag == LOCK_FLOCK || e->flag == LOCK_OFD ||
		     e->flag == LOCK_LEASE;
	return known && (e->type == F_RDLCK || e->type == F_WRLCK) && e->start >= 0 && e->len >= 0;
}

static struct open_file *file_at(const struct fd_table *t, int32_t fd)
{
	size_t low = 0, high = t->slots.n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if ((int64_t)t->slots.v[middle].fd < fd)
			low = middle + 1;
		else
			high = middle;
	}
	const struct fd_slot *slot = &t->slots.v[low];
	return low < t->slots.n && (int64_t)slot->fd == fd ? slot->file : NULL;
}

static int load_lock(struct file_set *f, const FileLockEntry *e)
{
	if (e->type & OLD_MANDATORY || (e->flag == LOCK_LEASE && e->type & BREAKING))
		return fail(f->s, EOPNOTSUPP, "pid %d fd %d: %s, which cannot be restored", e->pid,
			e->fd,
			e->flag == LOCK_LEASE ? "a lease that was being broken"
					      : "a mandatory lock");
	if (!is_sane(e))
		return fail(f->s, EBADMSG, "filelocks.img: the lock of pid %d fd %d is not sane",
			e->pid, e->fd);
	const struct task *t = tree_find(f->tree, e->pid);
	struct fd_table *table = t && task_lives(t) ? t->files : NULL;
	if (!table || !file_at(table, e->fd))
		return fail(f->s, EBADMSG, "filelocks.img: there is no pid %d with fd %d", e->pid,
			e->fd);
	*vec_push(&f->s->arena, &table->locks) = e;
	return 0;
}

int file_lock_load(struct file_set *f)
{
	ProtobufCMessage **all;
	size_t n;
	int r = image_read_all(f->s, IMG_FILE_LOCKS, 0, &all, &n);
	if (r >= 0 && n && !f->s->opt->file_locks)
		return fail_remedy(f->s, EINVAL, "use --file-locks",
			"the images have %zu file lock%s", n, n == 1 ? "" : "s");
	for (size_t i = 0; i < n && r >= 0; i++)
		r = load_lock(f, (const FileLockEntry *)all[i]);
	return r;
}

bool file_lock_has(const struct fd_table *t)
{
	return t->locks.n;
}

/* Only the owner of a file may have a lease without CAP_LEASE. */
static int plan_lease(struct file_set *f, struct open_file *o, struct program *p,
	const FileLockEntry *e, const char *what)
{
	uid_t own = geteuid();
	struct stat st = {.st_uid = own};
	int fd = -1, r = f->s->opt->explain ? 0 : file_get(f, o, &fd);
	if (r < 0)
		return r;
	if (fd >= 0 && fstat(fd, &st) < 0)
		return fail(f->s, errno, "%s: whose file is it", open_file_label(f, o));
	if (o->holder && fd >= 0)
		close(take_fd(&o->fd));
	if (st.st_uid != own)
		program_step(p, "act as its owner", what, SYS_setfsuid, imm(st.st_uid));
	program_step(p, "take a lease", what, SYS_fcntl, imm((uint64_t)e->fd), imm(F_SETLEASE),
		imm(e->type));
	if (st.st_uid != own)
		program_step(p, "act as ourselves", NULL, SYS_setfsuid, imm(own));
	return 0;
}

static void plan_byte_lock(struct program *p, const FileLockEntry *e, const char *what)
{
	struct flock lock = {.l_type = (short)e->type,
		.l_whence = SEEK_SET,
		.l_start = e->start,
		.l_len = e->len};
	program_step(p, e->flag == LOCK_OFD ? "lock the open file" : "lock", what, SYS_fcntl,
		imm((uint64_t)e->fd), imm(e->flag == LOCK_OFD ? F_OFD_SETLK : F_SETLK),
		in_copy(p, &lock, sizeof(lock)));
}

int file_lock_plan(struct file_set *f, struct fd_table *t, struct program *p)
{
	int r = 0;
	for (size_t i = 0; i < t->locks.n && r >= 0; i++) {
		const FileLockEntry *e = t->locks.v[i];
		struct open_file *o = file_at(t, e->fd);
		const char *what =
			arena_printf(&f->s->arena, "fd %d, %s", e->fd, file_name(f, o->id));
		if (e->flag == LOCK_LEASE)
			r = plan_lease(f, o, p, e, what);
		else if (e->flag == LOCK_FLOCK)
			program_step(p, "flock", what, SYS_flock, imm((uint64_t)e->fd),
				imm(LOCK_NB | (e->type == F_WRLCK ? LOCK_EX : LOCK_SH)));
		else
			plan_byte_lock(p, e, what);
	}
	return r;
}
