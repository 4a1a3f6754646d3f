/*
 * Where a task is: current directory, root directory, umask (fs-*.img; the kernel's fs_struct).
 *
 * The directories are REG entries, also when they were removed (then ghosts).  At restore the stub
 * goes there by path, out of the view it shares with the controller: first into the directory,
 * which may lie outside of the root, then chroot, which leaves it alone.
 */
#include "file/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/dumping.h"
#include "file/restoring.h"

static bool shares_fs(const struct task *t)
{
	return t->parent && t->ids && t->parent->ids && task_lives(t->parent) &&
	       t->ids->fs_id == t->parent->ids->fs_id;
}

/* --- dump --- */

static FsEntry *new_entry(struct session *s)
{
	FsEntry *e = arena_new(&s->arena, FsEntry);
	fs_entry__init(e);
	return e;
}

/* Who may have changed it after the leader was stopped, and before they were. */
static bool has_company(const struct task *t)
{
	bool company = t->threads.n > 1 || shares_fs(t);
	vec_for_each (&t->children, c)
		company |= shares_fs(*c);
	return company;
}

static int store_umask(struct session *s, const struct task *t)
{
	int umask = leader(t)->status.umask;
	if (has_company(t)) {
		struct proc_status now;
		int r = proc_status_read(s, t->pid, &now);
		if (r < 0)
			return fail(s, r, "pid %d: read its status", t->vpid);
		umask = now.umask;
	}
	if (umask < 0)
		return fail(s, ENOTSUP, "pid %d: the kernel does not tell its umask", t->vpid);
	t->fs->has_umask = true;
	t->fs->umask = (uint32_t)umask;
	return 0;
}

int fs_store(struct file_dump *d, struct task *t)
{
	uint32_t type;
	t->fs = new_entry(d->s);
	int r = store_umask(d->s, t);
	if (r >= 0)
		r = file_dump_path(d, t, "cwd", &t->fs->cwd_id, &type);
	if (r >= 0)
		r = file_dump_path(d, t, "root", &t->fs->root_id, &type);
	return r;
}

int fs_write(struct session *s, const struct task *t)
{
	return image_write_one(s, IMG_FS, (uint64_t)t->vpid, &t->fs->base);
}

/* --- restore --- */

static int check_directory(struct file_set *f, const struct task *t, uint32_t id, const char *what)
{
	const struct open_file *o = file_find(f, id);
	if (!o || o->e->type != FD_TYPES__REG)
		return fail(f->s, EBADMSG,
			"pid %d: its %s directory (file %u) is not in the images", t->vpid, what,
			id);
	if (o->e->reg->has_mode && !S_ISDIR(o->e->reg->mode))
		return fail(f->s, EBADMSG, "pid %d: its %s directory (%s) is none in the images",
			t->vpid, what, o->e->reg->name);
	return 0;
}

int fs_load(struct file_set *f, struct task *t)
{
	ProtobufCMessage *m;
	int r = image_read_one(f->s, IMG_FS, (uint64_t)t->vpid, &m);
	if (r == -ENOENT)
		return fail(f->s, r, "pid %d: fs-%d.img is missing", t->vpid, t->vpid);
	if (r < 0)
		return r;
	t->fs = (FsEntry *)m;
	r = check_directory(f, t, t->fs->cwd_id, "current");
	return r < 0 ? r : check_directory(f, t, t->fs->root_id, "root");
}

static const char *directory_path(const struct open_file *o)
{
	const struct remap *remap = o->remap;
	if (remap && remap->type == REMAP_TYPE__GHOST && ghost_path(remap->ghost))
		return ghost_path(remap->ghost);
	return remap && remap->type == REMAP_TYPE__LINKED ? remap->link : o->e->reg->name;
}

static bool is_own(const char *path, const char *own)
{
	struct stat a, b;
	return strcmp(path, own) == 0 ||
	       (stat(path, &a) == 0 && stat(own, &b) == 0 && a.st_dev == b.st_dev &&
		       a.st_ino == b.st_ino && strcmp(own, "/") == 0);
}

int file_plan_fs(struct file_set *f, struct task *t, struct program *p)
{
	if (!t->fs || shares_fs(t))
		return 0;
	int r = ghost_create_all(f);
	if (r < 0)
		return r;
	const char *cwd = directory_path(file_find(f, t->fs->cwd_id));
	const char *root = directory_path(file_find(f, t->fs->root_id));
	program_step(p, "change directory", cwd, SYS_chdir, in_str(p, cwd));
	if (!is_own(root, "/"))
		program_step(p, "change root", root, SYS_chroot, in_str(p, root));
	if (t->fs->has_umask)
		program_step(p, "set umask", NULL, SYS_umask, imm(t->fs->umask & 0777));
	return 0;
}
