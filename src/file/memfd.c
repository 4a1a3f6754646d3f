/*
 * memfd_create(2) files, and shared anonymous memory, which is a file of the same kind.
 *
 * They live on the kernel's own tmpfs (or one of its hugetlbfs mounts), where no path leads.  Each
 * inode is a record of memfd.img with name, size, owner, mode and seals, and its pages are stored
 * by mem/shmem.c; open files and mappings refer to it.  At restore an inode is made once, filled
 * when first opened, and sealed at last, when every writable mapping exists.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "file/dumping.h"
#include "file/file_lock.h"
#include "file/restoring.h"
#include "kernel/syscalls.h"
#include "mem/shmem.h"

enum {
	HUGE_SHIFT = 26, /* MFD_HUGE_SHIFT */
};

static const char memfd_prefix[] = "/memfd:";

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* --- dump --- */

/* The device of the kernel's own tmpfs, which is that of any memfd. */
static uint64_t kernel_tmpfs(struct file_dump *d)
{
	struct stat st;
	if (d->shm_dev)
		return d->shm_dev;
	_cleanup_close_ int fd = memfd_create("probe", MFD_CLOEXEC);
	d->shm_dev = fd >= 0 && fstat(fd, &st) == 0 ? st.st_dev : UINT64_MAX;
	return d->shm_dev;
}

static bool is_huge(const struct file_view *v)
{
	return v->fs_type == HUGETLBFS_MAGIC && v->st.stx_nlink == 0 &&
	       (has_prefix(v->link, memfd_prefix) || has_prefix(v->link, "/anon_hugepage"));
}

static bool memfd_recognize(struct file_dump *d, const struct file_view *v)
{
	return S_ISREG(v->st.stx_mode) &&
	       ((v->fs_type == TMPFS_MAGIC && v->dev == kernel_tmpfs(d)) || is_huge(v));
}

static char *memfd_name(struct file_dump *d, const char *link)
{
	static const char suffix[] = " (deleted)";
	if (has_prefix(link, memfd_prefix))
		link += strlen(memfd_prefix);
	char *name = arena_strdup(&d->s->arena, link);
	size_t len = strlen(name), cut = strlen(suffix);
	if (len >= cut && strcmp(name + len - cut, suffix) == 0)
		name[len - cut] = '\0';
	return name;
}

/* Names the pages image: the inode number, as far as that is unique. */
static void set_shmid(struct file_dump *d, MemfdInodeEntry *e, uint64_t ino)
{
	uint32_t id = (uint32_t)ino;
	while (!id || id_map_get(&d->shmids, id))
		id++;
	id_map_put(&d->s->arena, &d->shmids, id, e);
	e->shmid = id;
}

/* A memfd that has it already moves on: nothing is written yet. */
void file_dump_reserve_shmid(struct file_dump *d, uint32_t id)
{
	void *holder = id_map_get(&d->shmids, id);
	id_map_put(&d->s->arena, &d->shmids, id, d);
	if (holder && holder != d)
		set_shmid(d, holder, id);
}

struct memfd_content {
	struct file_source from;
	const MemfdInodeEntry *e;
};

static int write_content(struct file_dump *d, void *object)
{
	const struct memfd_content *c = object;
	_cleanup_close_ int fd = source_reopen(d, &c->from, O_RDONLY);
	return fd < 0 ? fd : shmem_dump(d->s, fd, c->e->shmid, c->e->size);
}

static int read_seals(struct file_dump *d, const struct file_view *v, uint32_t *ret)
{
	_cleanup_close_ int opened = -1;
	bool usable = !v->path_only && !(v->flags & O_PATH);
	if (!usable && (opened = source_reopen(d, &v->from, O_RDONLY)) < 0)
		return opened;
	int seals = fcntl(usable ? v->fd : opened, F_GET_SEALS);
	if (seals < 0 && errno != EINVAL)
		return fail(d->s, errno, "pid %d %s: read its seals", v->from.task->vpid,
			view_label(d, v));
	*ret = seals < 0 ? F_SEAL_SEAL : (uint32_t)seals;
	return 0;
}

static int collect_inode(struct file_dump *d, struct file_view *v, MemfdInodeEntry **ret)
{
	MemfdInodeEntry *e = arena_new(&d->s->arena, MemfdInodeEntry);
	memfd_inode_entry__init(e);
	int r = read_seals(d, v, &e->seals);
	if (r < 0)
		return r;
	e->name = memfd_name(d, v->link);
	e->uid = v->st.stx_uid;
	e->gid = v->st.stx_gid;
	e->size = v->st.stx_size;
	set_shmid(d, e, v->st.stx_ino);
	e->inode_id = d->memfds.n + 1;
	e->has_mode = true;
	e->mode = v->st.stx_mode;
	if (v->fs_type == HUGETLBFS_MAGIC) {
		e->has_hugetlb_flag = true;
		e->hugetlb_flag = MFD_HUGETLB | (uint32_t)__builtin_ctz(v->st.stx_blksize)
							<< HUGE_SHIFT;
	}
	*vec_push(&d->s->arena, &d->memfds) = e;
	struct memfd_content *c = arena_new(&d->s->arena, struct memfd_content);
	*c = (struct memfd_content){v->from, e};
	d->predicted += v->st.stx_blocks * 512;
	if (e->size)
		file_dump_later(d, write_content, c);
	*ret = v->inode->memfd = e;
	return 0;
}

static int memfd_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	if (has_prefix(v->link, "/SYSV")) {
		view_block(d, v, NULL, "System V shared memory (%s), which is not supported yet",
			v->link);
		return 0;
	}
	MemfdInodeEntry *inode = v->inode->memfd;
	if (!inode && file_lock_forbids_open(v)) {
		view_block(d, v, NULL, "a lease on %s, which has to be opened", v->link);
		return 0;
	}
	int r = inode ? 0 : collect_inode(d, v, &inode);
	if (r < 0)
		return r;
	MemfdFileEntry *e = arena_new(&d->s->arena, MemfdFileEntry);
	f->detail = e;
	memfd_file_entry__init(e);
	e->id = f->id;
	e->flags = v->flags & ~(uint32_t)O_CLOEXEC;
	e->pos = (uint64_t)v->pos;
	e->inode_id = (uint32_t)inode->inode_id;
	return fown_dump(d, v, &e->fown);
}

/* --- restore --- */

struct memfd {
	const MemfdInodeEntry *e;
	int fd;		/* as created; -1: not yet */
	bool fd_in_use; /* some open file is the creating one */
};

int memfd_load(struct file_set *f)
{
	ProtobufCMessage **all;
	size_t n;
	int r = image_read_all(f->s, IMG_MEMFD, 0, &all, &n);
	for (size_t i = 0; i < n && r >= 0; i++) {
		struct memfd *m = arena_new(&f->s->arena, struct memfd);
		*m = (struct memfd){.e = (const MemfdInodeEntry *)all[i], .fd = -1};
		if (m->e->size > INT64_MAX || strlen(m->e->name) > 249)
			return fail(f->s, EBADMSG, "memfd %s: its image is not sane", m->e->name);
		id_map_put(&f->s->arena, &f->memfds, m->e->inode_id, m);
		*vec_push(&f->s->arena, &f->memfd_list) = m;
		if (m->e->size)
			r = shmem_check(f->s, m->e->shmid, m->e->size);
	}
	return r;
}

static struct memfd *inode_of(const struct file_set *f, const struct open_file *o)
{
	return id_map_get(&f->memfds, o->e->memfd->inode_id);
}

static int memfd_check(struct file_set *f, struct open_file *o)
{
	o->flags = o->e->memfd->flags;
	o->fown = o->inherited < 0 ? o->e->memfd->fown : NULL;
	if (!inode_of(f, o))
		return fail(f->s, EBADMSG, "file %u: memfd inode %u is not in memfd.img", o->id,
			o->e->memfd->inode_id);
	return 0;
}

static const char *memfd_inherit_key(struct file_set *f, const struct open_file *o)
{
	const struct memfd *m = inode_of(f, o);
	return m ? arena_printf(&f->s->arena, "%s%s", memfd_prefix, m->e->name) : NULL;
}

/* MFD_EXEC and its opposite came with Linux 6.3; vm.memfd_noexec=2 refuses the former. */
static int make_file(const MemfdInodeEntry *e)
{
	unsigned flags = MFD_CLOEXEC | (e->seals == F_SEAL_SEAL ? 0 : MFD_ALLOW_SEALING) |
			 (e->has_hugetlb_flag ? e->hugetlb_flag : 0);
	bool executable = !e->has_mode || e->mode & 0111;
	int fd = memfd_create(e->name, flags | MFD_EXEC);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(e->name, flags);
	if (fd < 0 && errno == EACCES && !executable)
		fd = memfd_create(e->name, flags | MFD_NOEXEC_SEAL);
	return fd < 0 ? -errno : fd;
}

static int set_attributes(int fd, const MemfdInodeEntry *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_uid != e->uid || st.st_gid != e->gid) && fchown(fd, e->uid, e->gid) < 0)
		return -errno;
	if (e->has_mode && (st.st_mode ^ e->mode) & 07777 && fchmod(fd, e->mode & 07777) < 0)
		return -errno;
	return 0;
}

static int make_inode(struct file_set *f, struct memfd *m)
{
	const MemfdInodeEntry *e = m->e;
	_cleanup_close_ int fd = make_file(e);
	if (fd < 0)
		return fail(f->s, fd, "make the memfd \"%s\"", e->name);
	if (e->size && ftruncate(fd, (off_t)e->size) < 0)
		return fail(f->s, errno, "give the memfd \"%s\" %ju bytes", e->name,
			(uintmax_t)e->size);
	int r = e->size ? shmem_fill(f->s, fd, e->shmid, e->has_hugetlb_flag) : 0;
	if (r < 0)
		return r;
	r = set_attributes(fd, e);
	if (r < 0)
		return fail(f->s, r, "set owner and mode of the memfd \"%s\"", e->name);
	m->fd = take_fd(&fd);
	return 0;
}

int memfd_open(struct file_set *f, struct open_file *o, int flags, int *ret_fd)
{
	struct memfd *m = inode_of(f, o);
	if (o->inherited >= 0)
		return inherit_reopen(f, o, o->inherited, flags, ret_fd);
	int r = m->fd < 0 ? make_inode(f, m) : 0;
	if (r < 0)
		return r;
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", m->fd);
	*ret_fd = open(path, (flags & ~O_ASYNC) | O_CLOEXEC);
	return *ret_fd < 0 ? fail(f->s, errno, "open the memfd \"%s\"", m->e->name) : 0;
}

/* The first that is open for both directions is the file that memfd_create() made. */
static int memfd_create_file(struct file_set *f, struct open_file *o, int *ret_fd)
{
	struct memfd *m = inode_of(f, o);
	_cleanup_close_ int fd = -1;
	if (o->inherited >= 0) {
		o->prepared = true; /* it is used as it is */
		return inherit_dup(f, o, ret_fd);
	}
	int r = m->fd < 0 ? make_inode(f, m) : 0;
	if (r < 0)
		return r;
	if (!m->fd_in_use && (o->flags & (O_ACCMODE | O_PATH)) == O_RDWR) {
		m->fd_in_use = true;
		fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return fail(f->s, errno, "keep the memfd \"%s\"", m->e->name);
	} else {
		r = memfd_open(f, o, (int)o->flags, &fd);
		if (r < 0)
			return r;
	}
	if (o->e->memfd->pos && !(o->flags & O_PATH) &&
		lseek(fd, (off_t)o->e->memfd->pos, SEEK_SET) < 0)
		return fail(f->s, errno, "seek in the memfd \"%s\"", m->e->name);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* F_SEAL_WRITE fails while writable mappings exist, F_SEAL_FUTURE_WRITE forbids new ones. */
int memfd_seal_all(struct file_set *f)
{
	vec_for_each (&f->memfd_list, at) {
		struct memfd *m = *at;
		int have = m->fd < 0 ? 0 : fcntl(m->fd, F_GET_SEALS);
		if (m->fd < 0 || m->e->seals == F_SEAL_SEAL || (uint32_t)have == m->e->seals)
			continue;
		if (fcntl(m->fd, F_ADD_SEALS, m->e->seals) < 0)
			return fail(f->s, errno, "seal the memfd \"%s\"", m->e->name);
	}
	return 0;
}

void memfd_release(struct file_set *f)
{
	vec_for_each (&f->memfd_list, m)
		if ((*m)->fd >= 0)
			close(take_fd(&(*m)->fd));
}

const struct file_type memfd_type = {
	.type = FD_TYPES__MEMFD,
	.name = "memfd",
	.restored = "contents, seals, huge pages; shared anonymous memory is one as well",
	.detail = offsetof(FileEntry, memfd),
	.recognize = memfd_recognize,
	.collect = memfd_collect,
	.inherits_itself = true,
	.check = memfd_check,
	.inherit_key = memfd_inherit_key,
	.create = memfd_create_file,
};
