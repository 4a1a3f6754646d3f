/*
 * File locks: POSIX (of a descriptor table), OFD and flock (of an open file), and leases.
 *
 * fdinfo of a task shows the locks that it, or the open file, has.  That of a copy, which is read
 * anyway (examine.c), shows all but POSIX locks, which are of another table: F_GETLK tells whether
 * the inode has any, of whomever; if it fails, there may be some.  /proc/locks would tell of all inodes, but to open it takes a
 * grace period of RCU, and it leaves out locks whose owners are dead or elsewhere.
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
	OLD_MANDATORY = 32, /* LOCK_MAND of flock(2), gone since Linux 5.15 */
	BREAKING = 4,	    /* of a lease's type in images */
};

struct lock_dump {
	VEC(FileLockEntry *) entries;
};

/* --- dump --- */

int file_lock_begin(struct file_dump *d)
{
	d->locks = arena_new(&d->s->arena, struct lock_dump);
	return 0;
}

/*
 * POSIX locks of any table, OFD locks of any file; asked once.  An inode is one of a mount: two of
 * a stacked filesystem may show the same numbers.
 */
static bool has_byte_locks(const struct file_view *v)
{
	struct inode_info *inode = v->inode;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (inode->posix_asked_of != v->st.stx_mnt_id + 1) {
		inode->posix_asked_of = v->st.stx_mnt_id + 1;
		inode->may_have_posix |=
			fcntl(v->fd, F_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
	}
	return inode->may_have_posix;
}

/* F_GETLK is answered by the kernel itself: these have no lock() of their own. */
static bool has_no_server(const struct file_view *v)
{
	static const long types[] = {EXT4_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC,
		BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, RAMFS_MAGIC,
		PROC_SUPER_MAGIC, SYSFS_MAGIC, DEVPTS_SUPER_MAGIC, CGROUP2_SUPER_MAGIC};
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (v->fs_type == types[i])
			return true;
	return v->link[0] != '/';
}

/* Locks of other kinds than POSIX, as far as our own fdinfo tells. */
static bool shows_no_lock(const struct file_view *v)
{
	struct scan extra = fdinfo_extra(&v->fdinfo), line;
	return v->has_fdinfo && !fdinfo_next(&extra, "lock", &line);
}

static bool is_worth_reading(const struct dumped_file *f, const struct file_view *v)
{
	if (f->locks_read_by || !v) /* only POSIX locks are not those of the open file */
		return f->inode->may_have_posix;
	return !(v->flags & O_PATH) &&
	       (has_byte_locks(v) || !shows_no_lock(v) || !has_no_server(v));
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
		block_lock(d, t, fd, f, &lock);
		add_lock(d, t, fd, &lock);
	}
	return 0;
}

/* For writing: to open it would break the lease. */
static bool may_be_leased(const struct file_view *v)
{
	int type = fcntl(v->fd, F_GETLEASE);
	return type < 0 || type == F_WRLCK;
}

int file_lock_collect(struct file_dump *d, struct task *t, int fd, struct dumped_file *f,
	const struct file_view *v)
{
	if (f->locks_read_by == t) /* another number of the same file in the same table */
		return 0;
	if (v && !shows_no_lock(v) && may_be_leased(v))
		f->inode->leased = true;
	bool read = is_worth_reading(f, v), only_posix = f->locks_read_by;
	f->locks_read_by = t;
	return read ? read_locks(d, t, fd, f, only_posix) : 0;
}

/* Descriptors come before mappings: a file that one has leased for writing nobody else has open. */
bool file_lock_forbids_open(const struct file_view *v)
{
	if (v->inode->leased)
		return true;
	return !v->path_only && !(v->flags & O_PATH) && may_be_leased(v);
}

/* Files that only a queue of sockets has: no task could take the lock again. */
static int check_queued(struct file_dump *d, const struct dumped_file *f)
{
	struct proc_fdinfo info;
	struct scan line;
	_cleanup_proc_buf_ struct proc_buf buf = {0};
	const struct file_source *from = &f->from;
	if (f->locks_read_by || !from->task || from->task->pid != getpid() || from->number < 0 ||
		f->link[0] != '/')
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
	int r = 0;
	for (size_t i = 0; i < d->files.n && r >= 0; i++)
		r = check_queued(d, d->files.v[i]);
	return r;
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
		if (!o) /* which loading the image has refused */
			continue;
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
